package registry

import (
	"github.com/pelletier/go-toml/v2"
)

// A document is a registry file.
type document struct {
	Plugin       header       `toml:"plugin"`
	Capabilities capabilities `toml:"capabilities"`
}

type header struct {
	Name     string `toml:"name"`
	Version  string `toml:"version"`
	Provider string `toml:"provider"`
	Stage    string `toml:"stage"`
	Schema   string `toml:"schema"`
	Digest   string `toml:"digest"`
}

type capabilities struct {
	Query    bool `toml:"query"`
	Apply    bool `toml:"apply"`
	Rollback bool `toml:"rollback"`
	Verify   bool `toml:"verify"`
}

func encode(r Registration) ([]byte, error) {
	return toml.Marshal(document{
		Plugin:       header{Name: r.Name, Version: r.Version, Provider: r.Provider, Stage: r.Stage, Schema: r.Schema, Digest: r.Digest},
		Capabilities: capabilities{Query: r.Query, Apply: r.Apply, Rollback: r.Rollback, Verify: r.Verify},
	})
}

// decode reads a registry file; one that cannot be read is a registration with a problem.
func decode(name string, content []byte) Registration {
	var d document
	if err := toml.Unmarshal(content, &d); err != nil {
		return Registration{Name: name, Problem: "it is not valid TOML: " + err.Error()}
	}
	r := Registration{Name: name, Version: d.Plugin.Version, Provider: d.Plugin.Provider, Stage: d.Plugin.Stage, Schema: d.Plugin.Schema, Digest: d.Plugin.Digest,
		Query: d.Capabilities.Query, Apply: d.Capabilities.Apply, Rollback: d.Capabilities.Rollback, Verify: d.Capabilities.Verify}
	if d.Plugin.Name != name {
		r.Problem = "it names the plugin " + d.Plugin.Name
	}
	return r
}
