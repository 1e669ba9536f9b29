{{/* A job's pod for a CronJob or a Job: `of` as in _workload.tpl, with restart. */}}
{{- define "sapphire.jobSpec" -}}
backoffLimit: {{ .of.retries | default 1 }}
activeDeadlineSeconds: {{ .of.deadline }}
{{- with .of.forget }}
ttlSecondsAfterFinished: {{ . }}
{{- end }}
template:
  {{- include "sapphire.pod" . | nindent 2 }}
{{- end }}

{{- define "sapphire.cronJob" -}}
{{- include "sapphire.account" . }}
---
apiVersion: batch/v1
kind: CronJob
metadata:
  name: {{ .of.name }}
  labels: {{- include "sapphire.labels" . | nindent 4 }}
spec:
  schedule: {{ .of.schedule | quote }}
  timeZone: Etc/UTC
  concurrencyPolicy: Forbid
  startingDeadlineSeconds: 3600
  successfulJobsHistoryLimit: 2
  failedJobsHistoryLimit: 5
  jobTemplate:
    metadata:
      labels: {{- include "sapphire.labels" . | nindent 8 }}
    spec:
      {{- include "sapphire.jobSpec" . | nindent 6 }}
{{- end }}
