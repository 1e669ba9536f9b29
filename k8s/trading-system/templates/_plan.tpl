{{/* The plan that each part reads: venue, market, hosts and ports, agents and accounts. */}}
{{- define "trading-system.plan" -}}
{{- if not .Values.accounts }}
{{- fail "accounts is empty: an environment has one account at least, with tag: 1, on an agent of agents; k8s/environments/dev.yaml has an example" }}
{{- end }}
{{- $agents := dict }}
{{- range $name, $agent := .Values.agents }}
{{- $row := dict "release" $agent.release "host" (printf "agent-%s" $name) "port" 3000 }}
{{- with $agent.member }}
{{- $_ := set $row "member" . }}
{{- end }}
{{- $_ := set $agents $name $row }}
{{- end }}
{{- $accounts := dict }}
{{- range $name, $account := .Values.accounts }}
{{- if not (hasKey $.Values.agents $account.agent) }}
{{- fail (printf "accounts.%s trades the agent %q, and agents has no such entry: add it there, or name one of %s" $name $account.agent (keys $.Values.agents | sortAlpha | join ", ")) }}
{{- end }}
{{- $row := pick $account "tag" "agent" "stage" "funds" "limits" "execution" }}
{{- range $part, $port := dict "coordinator" 9102 "engine" 8090 "trimmer" 9103 }}
{{- $_ := set $row $part (dict "host" (printf "%s-%s" $part $name) "port" $port) }}
{{- end }}
{{- if $account.notices }}
{{- $_ := set $row "notices" (dict "host" (printf "notices-%s" $name) "port" 9104) }}
{{- end }}
{{- $_ := set $accounts $name $row }}
{{- end }}
{{- $plan := dict
  "format" "POD_PLAN@1"
  "venue" "embedded"
  "bind" "0.0.0.0"
  "market" .Values.market
  "bus" (dict "host" "valkey" "port" 6379)
  "exchange" (dict "host" "exchange" "port" 8080 "control_port" 8081)
  "collector" (dict "host" "collector" "port" 9101)
  "postgresql" (dict "host" "postgresql" "port" 5432)
  "agents" $agents
  "accounts" $accounts
}}
{{- toPrettyJson $plan }}
{{- end }}

{{/* What the exchange is told: the same market, and the funds of each account. */}}
{{- define "trading-system.exchangeWords" -}}
{{- $words := list
  "--port" "8080" "--control-port" "8081" "--bind" "0.0.0.0" "--host" "exchange"
  "--symbols" (join "," .Values.market.symbols)
  "--seed" (toJson .Values.market.seed)
  "--speed" (toJson .Values.market.speed)
  "--start" .Values.market.start
  "--journal" "/var/lib/sapphire/run/exchange"
}}
{{- $byTag := dict }}
{{- range $name, $account := .Values.accounts }}
{{- $tag := printf "%05d" (int $account.tag) }}
{{- if hasKey $byTag $tag }}
{{- fail (printf "accounts.%s and accounts.%s both have the tag %d: give each account a number of its own, which never changes" (get $byTag $tag) $name (int $account.tag)) }}
{{- end }}
{{- $_ := set $byTag $tag $name }}
{{- end }}
{{- if and $byTag (not (hasKey $byTag "00001")) }}
{{- fail "no account has the tag 1: one account must be the exchange's development account, give it tag: 1" }}
{{- end }}
{{- range $tag := keys $byTag | sortAlpha }}
{{- $name := get $byTag $tag }}
{{- $funds := list }}
{{- range $asset, $amount := (index $.Values.accounts $name).funds }}
{{- $funds = append $funds (printf "%s=%s" $asset $amount) }}
{{- end }}
{{- if eq $tag "00001" }}
{{- range $funds }}
{{- $words = concat $words (list "--fund" .) }}
{{- end }}
{{- else }}
{{- $words = concat $words (list "--account" (printf "%s:%s" $name (join "," $funds))) }}
{{- end }}
{{- end }}
{{- /* helm test trades on an account of its own: no engine sees a stranger's order */}}
{{- $words = concat $words (list "--account" (printf "check:%s=10000" (last (splitList "/" (first .Values.market.symbols))))) }}
{{- concat $words (list "--keys" "/var/run/secrets/sapphire/exchange-keys.json") | toJson }}
{{- end }}
