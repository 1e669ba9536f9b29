module sapphire/control-plane/definitions

go 1.26.0

require (
	github.com/prometheus-operator/prometheus-operator v0.94.0
	sigs.k8s.io/gateway-api v1.6.3
	sigs.k8s.io/secrets-store-csi-driver v1.5.5
)
