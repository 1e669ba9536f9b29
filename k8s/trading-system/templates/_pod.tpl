{{/* The pod of a workload or a job: nobody's root, a read-only file system, nothing of the cluster but what it needs. */}}
{{- define "sapphire.pod" -}}
{{- $root := .root }}
{{- $of := .of }}
{{- $row := index $root.Values.global.resources ($of.resources | default $of.component) }}
{{- with $of.row }}
{{- $row = mustMerge (deepCopy .) $row }}
{{- end }}
{{- $google := and (or $of.secrets $of.initSecrets) (eq $root.Values.global.secrets.provider "google") }}
metadata:
  labels:
    {{- include "sapphire.labels" . | nindent 4 }}
  annotations:
    kubectl.kubernetes.io/default-container: {{ $of.component }}
    sapphire.dev/limits: {{ $row.why | quote }}
    {{- with $of.metrics }}
    prometheus.io/port: {{ . | quote }}
    {{- end }}
    {{- with $of.reads }}
    # what it reads of the plan when it begins
    checksum/plan: {{ . | sha256sum }}
    {{- end }}
    {{- range $of.config }}
    {{- if .content }}
    checksum/{{ .name }}: {{ .content | sha256sum }}
    {{- end }}
    {{- end }}
spec:
  serviceAccountName: {{ $of.serviceAccount | default $of.name }}
  automountServiceAccountToken: {{ $of.token | default false }}
  enableServiceLinks: false
  priorityClassName: {{ $root.Release.Namespace }}-{{ $of.class }}
  terminationGracePeriodSeconds: {{ $of.grace }}
  {{- with $of.restart }}
  restartPolicy: {{ . }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 10001
    runAsGroup: 10001
    fsGroup: 10001
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile: {type: RuntimeDefault}
  {{- if or $of.gpu $of.gpuNode }}
  nodeSelector:
    cloud.google.com/gke-accelerator: nvidia-l4
    cloud.google.com/gke-spot: "true"
    cloud.google.com/gke-gpu-sharing-strategy: time-sharing
    cloud.google.com/gke-max-shared-clients-per-gpu: "2"
  tolerations:
    - {key: nvidia.com/gpu, operator: Exists, effect: NoSchedule}
    - {key: cloud.google.com/gke-spot, operator: Equal, value: "true", effect: NoSchedule}
  {{- end }}
  {{- with $of.affinity }}
  affinity: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if not (or $of.singleWriter $of.gpu $of.restart) }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: topology.kubernetes.io/zone
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels: {{- include "sapphire.selector" . | nindent 10 }}
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels: {{- include "sapphire.selector" . | nindent 10 }}
  {{- end }}
  {{- if or $google $of.init }}
  initContainers:
    {{- if $google }}
    - name: secrets
      image: {{ include "sapphire.image" (dict "root" $root "image" "platform") }}
      imagePullPolicy: {{ $root.Values.global.image.pullPolicy }}
      # the driver leaves its files to root, whoever the pod is: each container gets its own, readable by it alone
      command:
        - python
        - -c
        - import os, shutil, sys; os.umask(0o377); [shutil.copyfile(*pair.split("=")) for pair in sys.argv[1:]]
        {{- range $of.secrets }}
        - /mnt/secrets-store/{{ . }}=/mnt/secrets/{{ . }}
        {{- end }}
        {{- range $of.initSecrets }}
        - /mnt/secrets-store/{{ . }}=/mnt/secrets-init/{{ . }}
        {{- end }}
      resources: {{- include "sapphire.resources" (dict "row" $root.Values.global.resources.copy) | nindent 8 }}
      securityContext: {{- include "sapphire.unprivileged" . | nindent 8 }}
      volumeMounts:
        - {name: secrets-store, mountPath: /mnt/secrets-store, readOnly: true}
        {{- if $of.secrets }}
        - {name: secrets, mountPath: /mnt/secrets}
        {{- end }}
        {{- if $of.initSecrets }}
        - {name: secrets-init, mountPath: /mnt/secrets-init}
        {{- end }}
    {{- end }}
    {{- range $of.init }}
    {{- $container := dict "root" $root "of" (dict "places" true "env" (pick ($of.env | default dict) "SAPPHIRE_HOME") "secrets" $of.initSecrets "secretVolume" "secrets-init" "plan" true "scratch" $of.scratch "claim" (ternary $of.claim nil (.claim | default false))) }}
    - name: {{ .name }}
      image: {{ include "sapphire.image" (dict "root" $root "image" .image) }}
      imagePullPolicy: {{ $root.Values.global.image.pullPolicy }}
      {{- if .sidecar }}
      restartPolicy: Always
      {{- end }}
      command: {{- toYaml .command | nindent 8 }}
      {{- include "sapphire.environment" $container | nindent 6 }}
      resources: {{- include "sapphire.resources" (dict "row" (index $root.Values.global.resources .resources)) | nindent 8 }}
      securityContext: {{- include "sapphire.unprivileged" $ | nindent 8 }}
      volumeMounts: {{- include "sapphire.mounts" $container | nindent 8 }}
    {{- end }}
  {{- end }}
  containers:
    - name: {{ $of.component }}
      image: {{ include "sapphire.image" (dict "root" $root "image" $of.image) }}
      imagePullPolicy: {{ $root.Values.global.image.pullPolicy }}
      {{- with $of.command }}
      command: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $of.args }}
      args: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $of.workingDir }}
      workingDir: {{ . }}
      {{- end }}
      {{- include "sapphire.environment" . | nindent 6 }}
      {{- with $of.ports }}
      ports:
        {{- range $name, $port := . }}
        - {name: {{ $name }}, containerPort: {{ $port }}}
        {{- end }}
      {{- end }}
      {{- with $of.startup }}
      startupProbe: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $of.liveness }}
      livenessProbe: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $of.readiness }}
      readinessProbe: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $of.drain }}
      lifecycle:
        preStop: {{- toYaml . | nindent 10 }}
      {{- end }}
      resources: {{- include "sapphire.resources" (dict "row" $row) | nindent 8 }}
      securityContext: {{- include "sapphire.unprivileged" . | nindent 8 }}
      volumeMounts: {{- include "sapphire.mounts" . | nindent 8 }}
  volumes: {{- include "sapphire.volumes" . | nindent 4 }}
{{- end }}

{{- define "sapphire.unprivileged" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* A row of global.resources. No limit of CPU unless the row has one: throttling makes orders late. */}}
{{- define "sapphire.resources" -}}
requests:
  cpu: {{ .row.cpu }}
  memory: {{ .row.memory }}
limits:
  {{- with .row.cpuLimit }}
  cpu: {{ . }}
  {{- end }}
  memory: {{ .row.memoryLimit }}
  {{- with .row.gpu }}
  nvidia.com/gpu: {{ . }}
  {{- end }}
{{- end }}

{{- define "sapphire.environment" -}}
{{- if .of.places }}
envFrom:
  - configMapRef: {name: environment}
{{- end }}
{{- with .of.env }}
env:
  {{- range $name, $value := . }}
  - {name: {{ $name }}, value: {{ $value | toString | quote }}}
  {{- end }}
{{- end }}
{{- end }}

{{- define "sapphire.mounts" -}}
- {name: tmp, mountPath: /tmp}
{{- if .of.secrets }}
- {name: {{ .of.secretVolume | default "secrets" }}, mountPath: /var/run/secrets/sapphire, readOnly: true}
{{- end }}
{{- if .of.plan }}
- {name: plan, mountPath: /etc/sapphire, readOnly: true}
{{- end }}
{{- range .of.config }}
- {name: {{ .name }}, mountPath: {{ .mount }}, readOnly: true}
{{- end }}
{{- range $index, $scratch := .of.scratch }}
- {name: scratch-{{ $index }}, mountPath: {{ .mount }}}
{{- end }}
{{- with .of.claim }}
- {name: data, mountPath: {{ .mount }}}
{{- end }}
{{- with .of.mounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "sapphire.volumes" -}}
{{- $root := .root }}
- {name: tmp, emptyDir: {sizeLimit: {{ .of.tmp | default "64Mi" }}}}
{{- $google := eq $root.Values.global.secrets.provider "google" }}
{{- if and $google (or .of.secrets .of.initSecrets) }}
- name: secrets-store
  csi:
    driver: secrets-store-gke.csi.k8s.io
    readOnly: true
    volumeAttributes: {secretProviderClass: {{ .of.name }}}
{{- end }}
{{- $name := .of.secret | default .of.name }}
{{- range $volume, $files := dict "secrets" .of.secrets "secrets-init" .of.initSecrets }}
{{- if and $files $google }}
- {name: {{ $volume }}, emptyDir: {medium: Memory, sizeLimit: 1Mi}}
{{- else if $files }}
- name: {{ $volume }}
  secret:
    secretName: {{ $name }}
    defaultMode: 0440
    items:
      {{- range $files }}
      - {key: {{ . }}, path: {{ . }}}
      {{- end }}
{{- end }}
{{- end }}
{{- if .of.plan }}
- {name: plan, configMap: {name: plan}}
{{- end }}
{{- range .of.config }}
- {name: {{ .name }}, configMap: {name: {{ .name }}}}
{{- end }}
{{- range $index, $scratch := .of.scratch }}
- {name: scratch-{{ $index }}, emptyDir: {sizeLimit: {{ .size }}{{ with .medium }}, medium: {{ . }}{{ end }}}}
{{- end }}
{{- with .of.volumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Probes of a part that answers /livez and /readyz: alive is its loop turning, ready is what it needs being there. */}}
{{- define "sapphire.httpProbes" -}}
startup: {httpGet: {path: /livez, port: {{ .port }}}, periodSeconds: 2, failureThreshold: {{ .within | default 60 }}}
liveness: {httpGet: {path: /livez, port: {{ .port }}}, periodSeconds: 10, timeoutSeconds: 3, failureThreshold: 3}
readiness: {httpGet: {path: /readyz, port: {{ .port }}}, periodSeconds: 5, timeoutSeconds: 3, failureThreshold: 2}
{{- end }}
