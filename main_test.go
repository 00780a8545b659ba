// The architecture as tests: who may import whom, and the house rules that a parser can see. The examples as tests: each
// plans to its golden file, and the demo runs.
package main_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const module = "github.com/opdbus/opdbus"

// A layer says what a package may import besides the standard library. An asterisk stands for one path element, and a
// module for all packages in it. docs/architecture.md draws the same.
type layer struct {
	pkg     string
	inside  []string // packages of this module
	modules []string
}

// layers are all there are; the first that matches a package counts.
func layers() []layer {
	const (
		testify = "github.com/stretchr/testify"
		hclog   = "github.com/hashicorp/go-hclog"
		xsys    = "golang.org/x/sys"
		godbus  = "github.com/godbus/dbus/v5"
	)
	return []layer{
		{"graph", nil, nil},
		{"state", nil, nil},
		{"state/durable", nil, nil},
		{"state/wgkey", nil, nil},
		{"state/desired", []string{"state", "graph", "state/desired/statejson", "state/desired/schema", "state/wgkey"}, append(language(), "github.com/agext/levenshtein")},
		{"state/desired/statejson", nil, language()},
		{"state/desired/schema", nil, []string{"github.com/google/jsonschema-go"}},
		{"state/ledger", []string{"state", "state/durable"}, []string{xsys}},
		{"state/journal", []string{"state", "state/durable", "state/ledger"}, []string{xsys}},
		{"state/planfile", []string{"state", "state/durable"}, nil},
		{"state/snapshot", []string{"state", "state/durable"}, []string{"github.com/containerd/btrfs/v2", xsys}},
		{"state/snapshot/snapshottest", []string{"state", "state/snapshot"}, []string{testify, xsys}},
		{"state/store", []string{"state", "state/durable", "state/snapshot"}, []string{hclog, xsys, "github.com/coreos/go-systemd/v22"}},
		{"providers", []string{"state", "providers/*", "providers/internal/sysbus", "providers/internal/wireguard"}, nil},
		{"providers/internal/sysbus", []string{"state"}, []string{godbus}},
		{"providers/internal/ovstest", []string{"providers/internal/ovsdb"}, []string{testify}},
		{"providers/internal/wireguard", nil, []string{xsys, "github.com/vishvananda/netlink", "golang.zx2c4.com/wireguard"}},
		{"providers/internal/management", []string{"providers/internal/ovsdb"}, []string{"github.com/vishvananda/netlink"}},
		{"providers/internal/*", []string{"state", "providers/internal/*"}, []string{xsys, "github.com/fsnotify/fsnotify", "github.com/agext/levenshtein", "github.com/pelletier/go-toml/v2"}},
		{"providers/providertest", []string{"state", "state/snapshot", "state/snapshot/snapshottest"}, []string{testify, xsys}},
		{"providers/net", []string{"state", "state/wgkey", "providers/internal/*"}, []string{xsys, godbus, "github.com/coreos/go-systemd/v22", "github.com/vishvananda/netlink", "golang.zx2c4.com/wireguard/wgctrl"}},
		{"providers/*", []string{"state", "providers/internal/*"}, []string{xsys, godbus, "github.com/pelletier/go-toml/v2"}},
		{"reconciler", []string{"graph", "state", "state/durable", "state/journal", "state/ledger", "state/snapshot", "state/store"}, []string{hclog, xsys, "github.com/cyphar/filepath-securejoin", "github.com/fsnotify/fsnotify"}},
		{"reconciler/faulttest", []string{"state/snapshot/snapshottest"}, []string{testify, xsys}},
		{"reconciler/render", []string{"graph", "state"}, []string{"github.com/aymanbagabas/go-udiff", "github.com/dustin/go-humanize"}},
		{"reconciler/cli", []string{"graph", "reconciler", "reconciler/render", "state", "state/*"}, []string{"github.com/aymanbagabas/go-udiff", "github.com/mattn/go-shellwords", "github.com/spf13/cobra", "github.com/spf13/pflag", hclog, xsys, "golang.org/x/term"}},
		{"internal/machine", []string{"state/snapshot/snapshottest"}, []string{testify, xsys}},
		{"reconciler/boot", nil, nil},
		{"reconciler/live", nil, nil},
		{"reconciler/bench", []string{"internal/machine", "state/snapshot/snapshottest"}, language()},
		{".", []string{"providers", "reconciler/cli"}, nil},
	}
}

// language lists the modules of which only state/desired and what is below it may know, in tests too.
func language() []string {
	return []string{
		"github.com/apparentlymart/go-cidr", "github.com/bmatcuk/doublestar/v4",
		"github.com/hashicorp/go-version", "github.com/hashicorp/hcl/v2", "github.com/zclconf/go-cty", "github.com/zclconf/go-cty-yaml",
	}
}

// forTests lists what any test may use.
func forTests() []string {
	return []string{
		"github.com/hashicorp/go-hclog", "github.com/hashicorp/terraform-json", "github.com/rogpeppe/go-internal",
		"github.com/santhosh-tekuri/jsonschema/v6", "github.com/stretchr/testify", "golang.org/x/sys", "golang.org/x/tools/txtar", "pgregory.net/rapid",
	}
}

// excused lists what breaks a house rule and why it may.
func excused() map[string]string {
	return map[string]string{
		"main.version":   "the linker sets it",
		"machine.opdbus": "built once for all tests of a process",
		"machine.tests":  "built once for all tests of a process",
	}
}

func TestArchitecture(t *testing.T) {
	files := sources(t)

	t.Run("each package imports only what its layer may", func(t *testing.T) {
		var wrong []string
		for _, f := range files {
			l, known := layerOf(f.pkg)
			if !known {
				wrong = append(wrong, f.path+": the package is in no layer: give it one in layers() and in docs/architecture.md")
				continue
			}
			for _, spec := range f.ast.Imports {
				imported, err := strconv.Unquote(spec.Path.Value)
				require.NoError(t, err)
				if !l.allows(imported, f.test) {
					wrong = append(wrong, f.path+" may not import "+imported)
				}
			}
		}
		assert.Empty(t, strings.Join(wrong, "\n"))
	})

	t.Run("each module is named in docs/decisions with its reason", func(t *testing.T) {
		modules := forTests()
		for _, l := range layers() {
			modules = append(modules, l.modules...)
		}
		pages, err := filepath.Glob("docs/decisions/*.md")
		require.NoError(t, err)
		var decisions strings.Builder
		for _, page := range pages {
			text, err := os.ReadFile(page)
			require.NoError(t, err)
			decisions.Write(text)
		}
		for _, m := range modules {
			assert.True(t, strings.Contains(decisions.String(), strings.TrimPrefix(m, "github.com/")), "%s is in no decision", m)
		}
	})

	t.Run("files are short", func(t *testing.T) {
		var long []string
		for _, f := range files {
			if f.lines > 400 && excused()[f.path] == "" {
				long = append(long, fmt.Sprintf("%s has %d lines: split it, or give the reason in excused()", f.path, f.lines))
			}
		}
		assert.Empty(t, strings.Join(long, "\n"))
	})

	t.Run("packages say what they are for, in name and doc", func(t *testing.T) {
		empty := []string{"base", "common", "helper", "helpers", "lib", "misc", "shared", "types", "util", "utils"}
		documented := map[string]bool{}
		for _, f := range files {
			assert.NotContains(t, empty, path.Base(f.pkg))
			if !f.test {
				documented[f.pkg] = documented[f.pkg] || f.ast.Doc != nil
			}
		}
		for pkg, ok := range documented {
			assert.True(t, ok, "package %s has no doc", pkg)
		}
	})

	t.Run("nothing happens at import, and no package has state", func(t *testing.T) {
		var wrong []string
		for _, f := range files {
			for _, decl := range f.ast.Decls {
				switch d := decl.(type) {
				case *ast.FuncDecl:
					if d.Name.Name == "init" && d.Recv == nil {
						wrong = append(wrong, f.path+": has an init function")
					}
				case *ast.GenDecl:
					for _, name := range variables(d) {
						if !f.test && excused()[f.ast.Name.Name+"."+name] == "" {
							wrong = append(wrong, f.path+": "+name+" is a package variable: make it a constant, a function or a field, or give the reason in excused()")
						}
					}
				}
			}
		}
		assert.Empty(t, strings.Join(wrong, "\n"))
	})
}

func TestExamples(t *testing.T) {
	opdbus := filepath.Join(t.TempDir(), "opdbus")
	output(t, exec.Command("go", "build", "-o", opdbus, "."))
	mains, err := filepath.Glob("examples/*/main.hcl")
	require.NoError(t, err)
	require.NotEmpty(t, mains)

	for _, name := range mains {
		example := filepath.Dir(name)
		golden := filepath.Join(example, "plan.golden")
		t.Run(filepath.Base(example)+" is formatted and plans to its golden file", func(t *testing.T) {
			// Away from the repository, so that the plan names no commit, and with the modes of a umask of 022.
			dir := filepath.Join(t.TempDir(), filepath.Base(example))
			require.NoError(t, os.CopyFS(dir, os.DirFS(example)))
			output(t, exec.Command("chmod", "-R", "u=rwX,go=rX", dir))
			root := scratchRoot(t)

			output(t, exec.Command(opdbus, "fmt", "--check", dir))
			plan := output(t, exec.Command(opdbus, "--root", root, "plan", dir))
			if document := filepath.Join(dir, "state.json"); exists(document) {
				translation := output(t, exec.Command(opdbus, "import", "state", document))
				if os.Getenv("UPDATE") != "" {
					require.NoError(t, os.WriteFile(name, []byte(translation), 0o644))
				}
				main, err := os.ReadFile(name)
				require.NoError(t, err)
				assert.Equal(t, string(main), translation, "main.hcl is what the document is translated to")
				assert.Equal(t, plan, output(t, exec.Command(opdbus, "--root", root, "plan", document)))
			}

			if os.Getenv("UPDATE") != "" {
				require.NoError(t, os.WriteFile(golden, []byte(plan), 0o644))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err, "just golden makes it")
			assert.Equal(t, string(want), plan)
		})
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func TestDemo(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("needs root, to mount a btrfs image")
		}
		t.Skip("needs root, to mount a btrfs image")
	}
	dir := t.TempDir()
	output(t, exec.Command("go", "build", "-o", filepath.Join(dir, "bin", "opdbus"), "."))
	require.NoError(t, os.CopyFS(filepath.Join(dir, "examples"), os.DirFS("examples")))
	scratch := t.TempDir()
	demo := exec.Command(filepath.Join(dir, "examples", "demo.sh"))
	demo.Env = append(os.Environ(), "TMPDIR="+scratch)

	out := output(t, demo)

	t.Run("ends with an empty plan and a healed link", func(t *testing.T) {
		assert.Contains(t, out, "\nNo changes. The host matches the configuration.\n")
		assert.Contains(t, out, "\n/var/lib/op-dbus/staging/stage-1-core-dbus/bin/op-dbus\n")
	})
	t.Run("leaves nothing behind", func(t *testing.T) {
		mounts, err := os.ReadFile("/proc/self/mountinfo")
		require.NoError(t, err)
		assert.NotContains(t, string(mounts), scratch)
		left, err := os.ReadDir(scratch)
		require.NoError(t, err)
		assert.Empty(t, left)
	})
}

// scratchRoot is a host of which only the facts are there.
func scratchRoot(t *testing.T) string {
	root := t.TempDir()
	for name, content := range map[string]string{
		"etc/hostname": "example\n", "etc/machine-id": "0123456789abcdef0123456789abcdef\n", "etc/os-release": "ID=debian\n",
	} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(root, name), []byte(content), 0o644))
	}
	return root
}

// output runs a command that must succeed, and returns what it prints on standard output.
func output(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, "%s:\n%s%s", cmd, out, stderr.String())
	return string(out)
}

// A source is a Go file of the module.
type source struct {
	path, pkg string // relative to the module's root; the root package is "."
	test      bool
	lines     int
	ast       *ast.File
}

func sources(t *testing.T) []source {
	var files []source
	fset := token.NewFileSet()
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && name != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata") {
			return fs.SkipDir
		}
		if d.IsDir() || filepath.Ext(name) != ".go" {
			return nil
		}
		file, err := parser.ParseFile(fset, name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		files = append(files, source{
			path: name, pkg: filepath.ToSlash(filepath.Dir(name)), test: strings.HasSuffix(name, "_test.go"),
			lines: fset.File(file.Package).LineCount(), ast: file,
		})
		return nil
	})
	require.NoError(t, err)
	require.NotEmpty(t, files)
	return files
}

func layerOf(pkg string) (layer, bool) {
	for _, l := range layers() {
		if ok, _ := path.Match(l.pkg, pkg); ok {
			return l, true
		}
	}
	return layer{}, false
}

// allows says whether a package of this layer, or a test of it, may import something.
func (l layer) allows(imported string, test bool) bool {
	if inside, ok := strings.CutPrefix(imported, module+"/"); ok {
		return test || slices.ContainsFunc(l.inside, func(pattern string) bool {
			ok, _ := path.Match(pattern, inside)
			return ok
		})
	}
	if host, _, _ := strings.Cut(imported, "/"); !strings.Contains(host, ".") {
		return true // the standard library
	}
	within := func(m string) bool { return imported == m || strings.HasPrefix(imported, m+"/") }
	return slices.ContainsFunc(l.modules, within) || test && slices.ContainsFunc(forTests(), within)
}

// variables names the package variables in a declaration, but for those that nobody would change: errors, compiled
// patterns, embedded files, pools, and checks that a type has an interface.
func variables(d *ast.GenDecl) (names []string) {
	if d.Tok != token.VAR || embeds(d) {
		return nil
	}
	for _, spec := range d.Specs {
		v := spec.(*ast.ValueSpec)
		for i, name := range v.Names {
			if name.Name != "_" && (i >= len(v.Values) || !constant(v.Values[i])) {
				names = append(names, name.Name)
			}
		}
	}
	return names
}

func constant(value ast.Expr) bool {
	switch v := value.(type) {
	case *ast.CallExpr:
		return slices.Contains([]string{"errors.New", "fmt.Errorf", "regexp.MustCompile"}, qualified(v.Fun))
	case *ast.CompositeLit:
		return qualified(v.Type) == "sync.Pool"
	}
	return false
}

// qualified is PACKAGE.NAME, empty for what is not named so.
func qualified(e ast.Expr) string {
	sel, ok := e.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	from, ok := sel.X.(*ast.Ident)
	if !ok {
		return ""
	}
	return from.Name + "." + sel.Sel.Name
}

func embeds(d *ast.GenDecl) bool {
	return d.Doc != nil && slices.ContainsFunc(d.Doc.List, func(c *ast.Comment) bool { return strings.HasPrefix(c.Text, "//go:embed ") })
}
