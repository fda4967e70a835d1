-- Health of a CertificateRequest of csr-operator.dev for Argo CD.
--   Degraded     somebody has to change something: it is refused, or expired, or about to expire without a renewal
--   Healthy      the Secret is as the spec asks, with a valid certificate; a renewal that waits is in the message
--   Suspended    a person has to approve it, or to do what the order waits for: to sign, or to set a DNS record
--   Progressing  everything else, and as long as the operator has not seen this generation
local current = {}
if obj.status ~= nil and obj.status.conditions ~= nil then
  for _, condition in ipairs(obj.status.conditions) do
    local generation = obj.metadata.generation
    if generation == nil or condition.observedGeneration == nil or condition.observedGeneration >= generation then
      current[condition.type] = condition
    end
  end
end

local function holds(kind)
  return current[kind] ~= nil and current[kind].status == "True"
end

local ready = current.Ready
if ready == nil then
  return { status = "Progressing", message = "csr-operator has not looked at this generation yet" }
end
if holds("Stalled") then
  return { status = "Degraded", message = current.Stalled.message }
end
if ready.status ~= "True" and ready.reason == "Expired" then
  return { status = "Degraded", message = ready.message }
end
if holds("Reconciling") then
  local waiting = current.Reconciling
  if waiting.reason == "ApprovalPending" or waiting.reason == "ActionRequired" then
    return { status = "Suspended", message = waiting.message }
  end
  return { status = "Progressing", message = waiting.message }
end
if ready.status == "True" then
  return { status = "Healthy", message = ready.message }
end
return { status = "Progressing", message = ready.message }
