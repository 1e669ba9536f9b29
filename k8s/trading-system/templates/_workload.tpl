{{/*
A workload from one description: ServiceAccount, Services, secrets, its controller, PodDisruptionBudget, autoscaler.
A file describes it as YAML in a template of its own and hands it here:

  {{ include "sapphire.workload" (dict "root" $ "of" (include "trading-system.exchange" $ | fromYaml)) }}

name, component  its name, which is the host others reach it by, and the kind of part it is (files/arrows.yaml)
account, agent   whose it is, where there are several
kind             Deployment or StatefulSet
singleWriter     one line: why there is one of it and no autoscaler
replicas, autoscale {min, max, cpu}   where there may be several
image, command, args, env, places     places: true gives the environment of places and trust
ports            {name: number}; each is a port of its Service
secrets          names of files in /var/run/secrets/sapphire; initSecrets those of its init containers and sidecars
secret           the Secret that holds them, where several workloads share one; its name unless given
plan             true mounts the plan of the environment and the promoter's public key: /etc/sapphire
reads            what it reads of the plan when it begins: another text is another pod
config           [{name, mount}]: ConfigMaps as folders
claim            {size, mount}: its volume
scratch          [{mount, size, medium}]: emptyDirs
mounts, volumes  what is special, as Kubernetes has it
init             [{name, image, command, resources, sidecar}]: containers that run before it, or beside it
startup, liveness, readiness, drain   probes and preStop, as Kubernetes has them
grace            seconds it is given to end
class            execution, agents or research
resources        row of global.resources; the component's unless given; `row` lies over it
metrics          the port whose /metrics Prometheus reads
gpu              true: a share of the L4
token            true where it talks to the API server
*/}}
{{- define "sapphire.workload" -}}
{{- $root := .root }}
{{- $of := .of }}
{{- include "sapphire.account" . }}
{{- if $of.ports }}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ $of.name }}
  labels: {{- include "sapphire.labels" . | nindent 4 }}
spec:
  selector: {{- include "sapphire.selector" . | nindent 4 }}
  ports:
    {{- range $name, $port := $of.ports }}
    - {name: {{ $name }}, port: {{ $port }}, targetPort: {{ $name }}}
    {{- end }}
{{- if not $of.singleWriter }}
---
# each of its pods by address, for Prometheus
apiVersion: v1
kind: Service
metadata:
  name: {{ $of.name }}-pods
  labels: {{- include "sapphire.labels" . | nindent 4 }}
spec:
  clusterIP: None
  publishNotReadyAddresses: true
  selector: {{- include "sapphire.selector" . | nindent 4 }}
  ports:
    {{- range $name, $port := $of.ports }}
    - {name: {{ $name }}, port: {{ $port }}, targetPort: {{ $name }}}
    {{- end }}
{{- end }}
{{- end }}
---
apiVersion: apps/v1
kind: {{ $of.kind }}
metadata:
  name: {{ $of.name }}
  labels: {{- include "sapphire.labels" . | nindent 4 }}
  {{- with $of.singleWriter }}
  annotations:
    sapphire.dev/single-writer: {{ . | quote }}
  {{- end }}
spec:
  {{- if not $of.autoscale }}
  replicas: {{ if $of.singleWriter }}1{{ else }}{{ $of.replicas | default 1 }}{{ end }}
  {{- end }}
  revisionHistoryLimit: 5
  selector:
    matchLabels: {{- include "sapphire.selector" . | nindent 6 }}
  {{- if eq $of.kind "StatefulSet" }}
  serviceName: {{ $of.name }}
  persistentVolumeClaimRetentionPolicy: {whenDeleted: Retain, whenScaled: Retain}
  {{- else if $of.singleWriter }}
  strategy: {type: Recreate}
  {{- else }}
  strategy:
    type: RollingUpdate
    rollingUpdate: {{ if $of.gpu }}{maxSurge: 0, maxUnavailable: 1}{{ else }}{maxSurge: 1, maxUnavailable: 0}{{ end }}
  {{- end }}
  template:
    {{- include "sapphire.pod" . | nindent 4 }}
  {{- if and (eq $of.kind "StatefulSet") $of.claim }}
  volumeClaimTemplates:
    - metadata:
        name: data
        labels: {{- include "sapphire.selector" . | nindent 10 }}
      spec:
        accessModes: [ReadWriteOnce]
        {{- with $root.Values.global.storageClass }}
        storageClassName: {{ . }}
        {{- end }}
        resources:
          requests: {storage: {{ $of.claim.size }}}
  {{- end }}
{{- $least := int (($of.autoscale | default dict).min | default $of.replicas | default 1) }}
{{- if and (not $of.singleWriter) (gt $least 1) }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ $of.name }}
  labels: {{- include "sapphire.labels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels: {{- include "sapphire.selector" . | nindent 6 }}
{{- end }}
{{- with $of.autoscale }}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ $of.name }}
  labels: {{- include "sapphire.labels" $ | nindent 4 }}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: {{ $of.kind }}, name: {{ $of.name }}}
  minReplicas: {{ .min }}
  maxReplicas: {{ .max }}
  metrics:
    - type: Resource
      resource: {name: cpu, target: {type: Utilization, averageUtilization: {{ .cpu }}}}
  behavior:
    # a bar's burst is over before a pod is up: wait out several bars before shrinking
    scaleDown: {stabilizationWindowSeconds: 900}
{{- end }}
{{- end }}

{{/* Who a workload is: its ServiceAccount, and the secrets that it alone is given. */}}
{{- define "sapphire.account" -}}
{{- $root := .root }}
{{- $of := .of }}
{{- if hasKey $of "Error" }}
{{- fail (printf "the description of a workload is no YAML: %s" $of.Error) }}
{{- end }}
---
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ $of.name }}
  labels: {{- include "sapphire.labels" . | nindent 4 }}
  {{- with $root.Values.global.google.project }}
  annotations:
    iam.gke.io/gcp-service-account: {{ $of.name }}@{{ . }}.iam.gserviceaccount.com
  {{- end }}
automountServiceAccountToken: false
{{- if and (or $of.secrets $of.initSecrets) (eq $root.Values.global.secrets.provider "google") }}
---
apiVersion: secrets-store.csi.x-k8s.io/v1
kind: SecretProviderClass
metadata:
  name: {{ $of.name }}
  labels: {{- include "sapphire.labels" . | nindent 4 }}
spec:
  provider: gke
  parameters:
    # mode 0444: the driver leaves the files to root:root whatever fsGroup says; the container `secrets` copies them
    secrets: |
      {{- range concat ($of.secrets | default list) ($of.initSecrets | default list) | uniq }}
      - resourceName: projects/{{ $root.Values.global.google.project }}/secrets/{{ $of.secret | default $of.name }}-{{ . | replace "." "-" }}/versions/latest
        path: {{ . }}
        mode: 0444
      {{- end }}
{{- end }}
{{- end }}

{{/* What selects a workload's pods. */}}
{{- define "sapphire.selector" -}}
app.kubernetes.io/name: {{ .of.name }}
app.kubernetes.io/component: {{ .of.component }}
{{- end }}

{{- define "sapphire.labels" -}}
{{ include "sapphire.selector" . }}
app.kubernetes.io/part-of: trading-system
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- with .of.account }}
sapphire.dev/account: {{ . }}
{{- end }}
{{- with .of.agent }}
sapphire.dev/agent: {{ . }}
{{- end }}
{{- end }}

{{/* An image by its digest, or by the tag where the environment takes tags. */}}
{{- define "sapphire.image" -}}
{{- $image := .root.Values.global.image }}
{{- $name := printf "%ssapphire/%s" (ternary (printf "%s/" $image.registry) "" (ne $image.registry "")) .image }}
{{- $digest := index ($image.digests | default dict) .image }}
{{- if $digest }}{{ $name }}@{{ $digest }}{{ else }}{{ $name }}:{{ $image.tag }}{{ end }}
{{- end }}
