module sapphire/control-plane/definitions

go 1.26.0

require (
	sigs.k8s.io/gateway-api v1.6.3
	sigs.k8s.io/secrets-store-csi-driver v1.5.5
)
