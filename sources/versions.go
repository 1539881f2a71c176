package sources

import "time"

// VersionCount says how many requests of one span of time ran one version of a
// component. For the model, Served is what the provider said it served.
type VersionCount struct {
	Start     time.Time
	Component Component
	Version   string
	Served    string
	N         int
}
