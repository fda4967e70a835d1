-- Health of an Issuer or ClusterIssuer of csr-operator.dev for Argo CD.
--   Degraded     it cannot be used until somebody changes it
--   Healthy      its CA can be asked for certificates
--   Progressing  its CA does not answer, a Secret is not there yet, or the operator has not seen this generation
local current = {}
if obj.status ~= nil and obj.status.conditions ~= nil then
  for _, condition in ipairs(obj.status.conditions) do
    local generation = obj.metadata.generation
    if generation == nil or condition.observedGeneration == nil or condition.observedGeneration >= generation then
      current[condition.type] = condition
    end
  end
end

local ready, stalled = current.Ready, current.Stalled
if ready == nil then
  return { status = "Progressing", message = "csr-operator has not looked at this generation yet" }
end
if stalled ~= nil and stalled.status == "True" then
  return { status = "Degraded", message = stalled.message }
end
if ready.status == "True" then
  return { status = "Healthy", message = ready.message }
end
return { status = "Progressing", message = ready.message }
