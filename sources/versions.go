package sources

import "time"

// VersionCount says how many requests of one span of time ran one version of a
// component. For the model, Served is what the provider said it served, and
// Fingerprint that of the system which did.
type VersionCount struct {
	Start     time.Time
	Component Component
	Version   string
	Served    string
	// Fingerprint moves when the provider changes what stands behind a name.
	Fingerprint string
	N           int
}
