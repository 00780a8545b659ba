package registry

import (
	"bytes"
	"fmt"
	"strings"

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

// encode writes a registry file. The same registration is the same bytes, and there is no time in them.
func encode(r Registration) []byte {
	var b bytes.Buffer
	b.WriteString("[plugin]\n")
	for _, f := range []struct{ name, value string }{
		{"name", r.Name}, {"version", r.Version}, {"provider", r.Provider}, {"stage", r.Stage}, {"schema", r.Schema}, {"digest", r.Digest},
	} {
		fmt.Fprintf(&b, "%s = %s\n", f.name, quote(f.value))
	}
	b.WriteString("[capabilities]\n")
	for _, f := range []struct {
		name  string
		value bool
	}{{"query", r.Query}, {"apply", r.Apply}, {"rollback", r.Rollback}, {"verify", r.Verify}} {
		fmt.Fprintf(&b, "%s = %t\n", f.name, f.value)
	}
	return b.Bytes()
}

// quote writes a TOML string between double quotes, which the library does only where it must.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range strings.ToValidUTF8(s, "\uFFFD") {
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		case c < ' ' || c == 0x7f:
			fmt.Fprintf(&b, "\\u%04X", c)
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('"')
	return b.String()
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
