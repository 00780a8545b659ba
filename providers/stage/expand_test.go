package stage

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/opdbus/opdbus/providers/internal/plugin"
	"github.com/opdbus/opdbus/providers/providertest"
	"github.com/opdbus/opdbus/state"
)

// expansionOf expands a stage with file blocks, and prints what it comes to or what is wrong.
func (w *world) expansionOf(self Stage, blocks ...File) (string, *state.Node) {
	w.t.Helper()
	at := func(line int) state.Range { return state.Range{File: "main.hcl", Line: line} }
	node := &state.Node{Addr: w.node, Self: self, Source: at(1), Attr: func(name string) state.Range { return state.Range{File: "stage." + name} }}
	for i, f := range blocks {
		d := state.Declared{Addr: w.addr("file", f.Path), Object: f, Source: at(10 + i), Attr: func(name string) state.Range { return state.Range{File: fmt.Sprintf("file%d.%s", i, name)} }}
		if f.OnConflict == "secret" {
			f.OnConflict, d.Sensitive = "", []string{"content"}
			d.Object = f
		}
		node.Objects = append(node.Objects, d)
	}
	config := &state.Config{Nodes: []*state.Node{node, {Addr: state.NodeAddr{Type: state.PluginNode, Name: "declared"}, Self: plugin.Block{Version: "7"}}}}
	if diags := w.kinds.ForNode("stage").Expand(w.t.Context(), config, node); len(diags) > 0 {
		var lines []string
		for _, d := range diags {
			lines = append(lines, fmt.Sprintf("%s: %s: %s", strings.TrimSuffix(d.Subject.String(), ":0,0"), d.Summary, d.Detail))
		}
		return strings.Join(lines, "\n"), node
	}
	var b strings.Builder
	for _, d := range node.Objects {
		fmt.Fprintf(&b, "%s %s\n", d.Addr.Local(), describeObject(d))
	}
	return b.String(), node
}

func describeObject(d state.Declared) string {
	text := ""
	switch o := d.Object.(type) {
	case Payload:
		text = fmt.Sprint(o.Type, " ", o.Mode, " ", o.Owner, ":", o.Group, " ", o.Link, o.Digest)
	case File:
		text = fmt.Sprint(o.Target, " ", o.Type, " ", o.Mode, " ", o.Owner, ":", o.Group, " ", o.Link, o.Digest)
	case plugin.Registration:
		text = fmt.Sprint(o.Version, " ", o.Provider, " ", o.Stage, " ", o.Schema)
	case Marker:
		text = o.Component + " " + o.Version
	}
	for _, c := range []string{"one", "two", "{}", "secret"} {
		text = strings.ReplaceAll(text, digest(c), "="+c)
	}
	if len(d.Sensitive) > 0 {
		text += fmt.Sprint(" ", d.Sensitive)
	}
	return text
}

func text(s string) *string { return &s }

func TestExpand(t *testing.T) {
	w := newWorld(t)
	source := t.TempDir()
	providertest.Write(t, source+"/bin/tool", "one")
	require.NoError(t, os.Chmod(source+"/bin/tool", 0o755|os.ModeSetuid))
	providertest.Write(t, source+"/etc/app/conf", "two")
	providertest.Write(t, source+"/schemas/lxc.schema.json", "{}")
	providertest.Write(t, source+"/plugins/custom/plugin.toml", "[plugin]\nversion = '3'\n")
	require.NoError(t, os.Symlink("tool", source+"/bin/link"))
	require.NoError(t, os.Symlink("conf", source+"/etc/app/default"))
	self := Stage{Component: "core", Version: "1.0.0", Source: source}

	t.Run("a stage is its files, what stands for them, its registrations and the marker, in this order", func(t *testing.T) {
		s := self
		s.Plugins = []string{"lxc", "custom", "declared"}
		got, _ := w.expansionOf(s,
			File{Path: "bin/tool", Target: "/usr/bin/tool", Mode: "750", Group: "7"},
			File{Path: "etc/app", Target: "/etc/app", Type: typeCopy, Owner: "root"},
			File{Path: "etc/made/motd", Target: "/etc/motd", Type: typeCopyOnce, Content: text("one")},
			File{Path: "etc/made/key", Target: "/etc/key", Type: typeCopy, Content: text("secret"), OnConflict: "secret"},
			File{Path: "spool", Target: "/var/spool/app", Type: typeDirectory},
		)
		got = strings.ReplaceAll(got, digest("[plugin]\nversion = '3'\n"), "=toml")
		assert.Equal(t, `payload["bin"] directory 0755 root:root 
payload["bin/link"] symlink  : tool
payload["bin/tool"] file 0750 root:7 =one
payload["etc"] directory 0755 root:root 
payload["etc/app"] directory 0755 root:root 
payload["etc/app/conf"] file 0644 root:root =two
payload["etc/app/default"] symlink  : conf
payload["etc/made"] directory 0755 root:root 
payload["etc/made/key"] file 0600 root:root =secret [digest size]
payload["etc/made/motd"] file 0644 root:root =one
payload["plugins"] directory 0755 root:root 
payload["plugins/custom"] directory 0755 root:root 
payload["plugins/custom/plugin.toml"] file 0644 root:root =toml
payload["schemas"] directory 0755 root:root 
payload["schemas/lxc.schema.json"] file 0644 root:root ={}
file["bin/tool"] /usr/bin/tool symlink  : /var/lib/op-dbus/staging/core/bin/tool
file["etc/app"] /etc/app directory 0755 root:root 
file["etc/app/conf"] /etc/app/conf copy 0644 root:root =two
file["etc/app/default"] /etc/app/default symlink  : conf
file["etc/made/motd"] /etc/motd copy-if-not-exists 0644 root:root =one
file["etc/made/key"] /etc/key copy 0600 root:root =secret [content digest size]
file["spool"] /var/spool/app directory 0755 root:root 
registration["lxc"] 1.0.0 lxc core schemas/lxc.schema.json
registration["custom"] 3 dbus core 
registration["declared"] 7 dbus core 
marker[".deployed"] core 1.0.0
`, got)
	})
	t.Run("the source's set-id bits are kept", func(t *testing.T) {
		got, _ := w.expansionOf(self)
		assert.Contains(t, got, `payload["bin/tool"] file 4755 root:root =one`)
	})
	t.Run("every mistake is said, with its place and a remedy", func(t *testing.T) {
		s := self
		s.Plugins = []string{"lcx", "../x"}
		got, _ := w.expansionOf(s,
			File{Path: "bin/tol", Target: "/a"},
			File{Path: "bin/tool", Target: "usr/bin/tool"},
			File{Path: "bin/tool", Target: "/usr/../bin", Type: "symlnk", OnConflict: "adpt", Mode: "rwx", Owner: "nobody-here", Group: "none-here"},
			File{Path: "../etc/passwd", Target: "/b", Content: text("x")},
			File{Path: ".deployed", Target: "/c"},
			File{Path: "bin/tool", Target: "/var/lib/op-dbus/state/ledger.json"},
			File{Path: "bin/tool", Target: "/etc/.opdbus-1"},
			File{Path: "bin/tool/x", Target: "/d", Content: text("x")},
			File{Path: "bin", Target: "/e", Content: text("x")},
			File{Path: "bin/link", Target: "/f", Type: typeCopyOnce},
			File{Path: "dir", Target: "/g", Type: typeDirectory, Content: text("x")},
		)
		assert.Equal(t, `main.hcl:13,0: Invalid path: "../etc/passwd" is not a path in the stage: it has to be relative and must not hold ".", ".." or empty names.
main.hcl:17,0: Not a directory: "bin/tool/x" cannot be in the stage: "bin/tool" is a file there.
file8.content: A directory cannot have content: "bin" is a directory of the stage's source.
main.hcl:10,0: No such file in the stage: "bin/tol" is not in the stage's files. Did you mean "bin/tool"?
file1.target: Invalid target: "usr/bin/tool" is not an absolute path.
file2.type: Unknown type of file: "symlnk" is not one of "symlink", "copy", "copy-if-not-exists", "directory". Did you mean "symlink"?
file2.on_conflict: Unknown way to settle a conflict: "adpt" is not one of "fail", "backup", "adopt". Did you mean "adopt"?
file2.target: Invalid target: "/usr/../bin" is not a clean path; write "/bin".
file2.mode: Invalid mode: "rwx" is not a mode; write it in octal, such as "0644".
file2.owner: Unknown user: There is no user "nobody-here" on the host. Make the user first, or write its number.
file2.group: Unknown group: There is no group "none-here" on the host. Make the group first, or write its number.
main.hcl:14,0: Reserved name: ".deployed" is the name of a file that opdbus puts into every stage.
file5.target: Target in the store: /var/lib/op-dbus/state/ledger.json is in /var/lib/op-dbus, which holds what opdbus needs to take changes back. Choose a target outside it.
file6.target: Reserved name: ".opdbus-1" is a name that opdbus gives to files of its own. Choose another target.
main.hcl:19,0: A symlink cannot be copied once: "bin/link" is a symlink; choose type "copy" for it, which keeps a symlink that says the same at the target.
file10.content: A directory cannot have content: Leave out content, or choose another type.
stage.plugins: Unknown plugin "lcx": There is no built-in plugin of that name, the stage has no plugins/lcx/plugin.toml, and no plugin block declares it. Did you mean "lxc"?
stage.plugins: Invalid plugin name: "../x" cannot name a plugin: a name is made of letters, digits, - and _.`, got)
	})
	t.Run("a source that cannot be staged is said to be so", func(t *testing.T) {
		bad := t.TempDir()
		require.NoError(t, unix.Mkfifo(bad+"/pipe", 0o600))
		providertest.Write(t, bad+"/.deployed", "")
		got, _ := w.expansionOf(Stage{Source: bad})
		assert.Contains(t, got, "stage.source: Reserved name in the source")
		assert.Contains(t, got, "pipe is a fifo, which cannot be staged")
		got, _ = w.expansionOf(Stage{Source: bad, Image: "X"})
		assert.Contains(t, got, "stage.image: A stage has one source")
		got, _ = w.expansionOf(Stage{Source: bad + "/none"})
		assert.Contains(t, got, "stage.source: Cannot read the source")
		got, _ = w.expansionOf(Stage{Image: "NONE"})
		assert.Contains(t, got, "stage.image: No such image")
		got, _ = w.expansionOf(Stage{Image: "../x"})
		assert.Contains(t, got, "stage.image: Invalid image name")
	})
	t.Run("an image is a source", func(t *testing.T) {
		image := w.Path("/var/lib/op-dbus/deployment/images/IMG/snapshot")
		providertest.Write(t, image+"/bin/x", "one")
		providertest.Write(t, image+"/.opdbus/image.json", "{}")
		got, _ := w.expansionOf(Stage{Image: "IMG"}, File{Path: "bin/x", Target: "/bin/x"})
		assert.Equal(t, `payload["bin"] directory 0755 root:root 
payload["bin/x"] file 0644 root:root =one
file["bin/x"] /bin/x symlink  : /var/lib/op-dbus/staging/core/bin/x
marker[".deployed"]  
`, got)
	})
}
