// Package plugin says what the registration of a plugin comes to, for the two that make one: a stage that lists the
// plugin and the plugin's own block. It may import state, providers/internal/* and go-toml.
package plugin

import (
	"reflect"
	"slices"

	"github.com/opdbus/opdbus/state"
)

// A Block is a plugin block's own attributes.
type Block struct {
	Version string `hcl:"version,optional" json:"version,omitempty"`
	Source  string `hcl:"source,optional" json:"source,omitempty"`
}

// Key is empty: a node has one.
func (Block) Key() string { return "" }

// A Registration says that a plugin is there, which version of it, and what can be done with it.
type Registration struct {
	Name     string `json:"name"`
	Version  string `json:"version"`
	Provider string `json:"provider"`
	Stage    string `json:"stage,omitempty"`
	Schema   string `json:"schema,omitempty"`
	Digest   string `json:"digest,omitempty"`
	Query    bool   `json:"query"`
	Apply    bool   `json:"apply"`
	Rollback bool   `json:"rollback"`
	Verify   bool   `json:"verify"`
	// Problem is why what stands there is no registration.
	Problem string `json:"problem,omitempty"`
	// Edited is what stands there where that is not, byte for byte, what is written for all this: it is put back as it was.
	Edited *Edited `json:"edited,omitempty"`
	// Parents are the directories that were made for it.
	Parents []string `json:"parents,omitempty"`
}

// An Edited registry file is one that somebody has written.
type Edited struct {
	Text  string `json:"text,omitempty"`
	Bytes []byte `json:"bytes,omitempty"` // its content where that is no text
	Mode  uint32 `json:"mode"`
	UID   int    `json:"uid"`
	GID   int    `json:"gid"`
}

// Content is what is in it.
func (e Edited) Content() []byte {
	if e.Bytes != nil {
		return e.Bytes
	}
	return []byte(e.Text)
}

// Key is the plugin's name.
func (r Registration) Key() string { return r.Name }

// Thing says that a plugin is registered once.
func (r Registration) Thing() string { return "registration of plugin " + r.Name }

// Same compares all but the directories that were made for it. How the file says it does not matter, unless it says nothing.
func (r Registration) Same(other state.Object) bool {
	o, ok := other.(Registration)
	r.Parents, o.Parents = nil, nil
	if r.Problem == "" {
		r.Edited, o.Edited = nil, nil
	}
	return ok && reflect.DeepEqual(r, o)
}

// Builtin are the plugins that have a provider of their own in the language, whether or not this build contains it.
func Builtin() []string {
	return []string{"systemd", "login1", "dnsresolver", "packagekit", "net", "lxc", "openflow", "pcidecl", "netmaker", "privacy", "privacy_router", "dbus"}
}

// Provided are the plugins whose provider this build contains. A test holds it against the list of all kinds.
func Provided() []string {
	return []string{"systemd", "login1", "dnsresolver", "packagekit", "net", "openflow", "dbus"}
}

// capable says whether this build can do anything for the plugin.
func capable(name string) bool { return slices.Contains(Provided(), name) }
