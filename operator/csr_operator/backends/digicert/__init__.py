"""DigiCert: CertCentral (`digicert`) and Trust Lifecycle Manager (`digicertOne`), by their own APIs."""
