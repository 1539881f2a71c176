package journal

// Config is the `journal:` section of the configuration.
type Config struct {
	// Mirror copies entries to Loki, where one is configured; true when absent.
	Mirror *bool `yaml:"mirror,omitempty"`
}

// Mirrored tells whether entries are to be copied to Loki.
func (c Config) Mirrored() bool { return c.Mirror == nil || *c.Mirror }
