// Command devcluster is a Kubernetes control plane in one file: etcd, kube-apiserver, kube-controller-manager and
// kubectl. Which one runs is decided by the name it is called under (a symbolic link) or by the first argument.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	"k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
)

var programs = map[string]func(){
	"etcd":                    func() { etcdmain.Main(os.Args) },
	"kube-apiserver":          func() { os.Exit(cli.Run(apiserver.NewAPIServerCommand())) },
	"kube-controller-manager": func() { os.Exit(cli.Run(controllermanager.NewControllerManagerCommand())) },
	"kubectl":                 func() { util.CheckErr(cli.RunNoErrOutput(cmd.NewDefaultKubectlCommand())) },
}

func main() {
	name := filepath.Base(os.Args[0])
	if programs[name] == nil && len(os.Args) > 1 {
		name = os.Args[1]
		// The programs read os.Args themselves, each as if it had been called under its own name.
		os.Args = append([]string{name}, os.Args[2:]...)
	}
	run := programs[name]
	if run == nil {
		fmt.Fprintf(os.Stderr, "usage: %s etcd|kube-apiserver|kube-controller-manager|kubectl ARGUMENT...\n",
			strings.TrimSuffix(filepath.Base(os.Args[0]), ".exe"))
		os.Exit(2)
	}
	run()
}
