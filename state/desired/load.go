package desired

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/opdbus/opdbus/state"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// Options say what to load, and with what.
type Options struct {
	Dir         string
	File        string   // the only one in Dir that declares something, which may be a state document; empty: all do
	Vars        []string // NAME=VALUE, as --var gives them
	VarFiles    []string
	Environ     []string // OPDBUS_VAR_NAME=VALUE is taken from it
	AllowSource []string // directories besides Dir that may be read
	Facts       state.Facts
	Kinds       state.Kinds
	Store       string // where the store is, whatever the settings say; empty: where they say
	Version     string // of opdbus, for required_version; empty: not checked
	// Root prefixes the host's own files, of which only the keys that wg_public_key tells the public ones of are read. Elsewhere says that
	// this is not the host, so that other keys stand for those.
	Root      string
	Elsewhere bool
	// Overlay is what files, by absolute path without links, are taken to hold whatever they do.
	Overlay map[string][]byte
}

// Load reads and evaluates a configuration. All mistakes are in the diagnostics. When they have errors, config is what can be
// told all the same, for others to find further mistakes in: the nodes without errors, or nil after a syntax error.
func Load(ctx context.Context, o Options) (config *state.Config, files *Files, diags state.Diagnostics) {
	l := newLoader(o)
	if l.enter(); !l.diags.HasErrors() {
		l.load(ctx)
	}
	l.diags = tidy(l.diags)
	if !l.finished {
		return nil, l.files, l.diags
	}
	l.config.Digest = l.digest.sum()
	return l.config, l.files, l.diags
}

// A loader is one load under way.
type loader struct {
	o       Options
	dir     string   // absolute, without links
	allowed []string // so are these
	files   *Files
	diags   state.Diagnostics
	digest  *digest
	shapes  shapes
	config  *state.Config

	functions map[string]function.Function
	settings  *settings
	variables map[string]*variable
	locals    map[string]*local
	outputs   []*output
	nodes     map[string]*node // by TYPE.NAME
	catalogue map[string]*catalogue
	features  map[string]bool
	finished  bool      // the configuration is put together
	unknown   hcl.Range // an expression that is not known though nothing was wrong before it
}

func newLoader(o Options) *loader {
	return &loader{
		o:         o,
		files:     newFiles(o.Dir),
		digest:    newDigest(),
		shapes:    shapes{},
		config:    &state.Config{Overlay: o.Overlay},
		variables: map[string]*variable{},
		locals:    map[string]*local{},
		nodes:     map[string]*node{},
		catalogue: map[string]*catalogue{},
		features:  map[string]bool{},
	}
}

// enter finds the directories that may be read.
func (l *loader) enter() {
	dir := l.o.Dir
	if dir == "" {
		dir = "."
	}
	resolved, err := realDir(dir)
	if err != nil {
		l.diags.Errorf(state.Range{}, "Cannot read the configuration",
			"cannot read %s: %s. Name the directory that holds the *.hcl files.", dir, err)
		return
	}
	l.dir = resolved
	l.config.Dir = resolved
	for _, a := range l.o.AllowSource {
		resolved, err := realDir(a)
		if err != nil {
			l.diags.Errorf(state.Range{}, "Cannot read an allowed directory", "cannot read %s, which --allow-source names: %s.", a, err)
			continue
		}
		l.allowed = append(l.allowed, resolved)
	}
}

func realDir(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	resolved, err := filepath.EvalSymlinks(abs)
	if err != nil {
		return "", unwrapPath(err)
	}
	info, err := os.Stat(resolved)
	if err != nil {
		return "", unwrapPath(err)
	}
	if !info.IsDir() {
		return "", errNotDirectory{}
	}
	return resolved, nil
}

type errNotDirectory struct{}

func (errNotDirectory) Error() string { return "it is not a directory" }

// load goes through the phases. A phase that others build on ends the load when it fails: after a syntax error, half of
// the configuration would be reported missing.
func (l *loader) load(ctx context.Context) {
	config, auto := l.discover()
	if l.diags.HasErrors() {
		return
	}
	sources := l.parse(config, func(name string) string { return filepath.Join(l.dir, name) })
	values := l.valueFiles(auto)
	if l.diags.HasErrors() {
		return
	}
	l.functions = l.functionTable()
	tops := l.collect(sources)
	l.inputs(values)
	l.evaluate(ctx, l.items())
	if err := ctx.Err(); err != nil {
		l.diags.Errorf(state.Range{}, "Interrupted", "The configuration was not evaluated to its end: %s.", err)
		return
	}
	l.connect()
	l.history(tops)
	if !l.diags.HasErrors() && l.unknown.Filename != "" {
		l.errorf(l.unknown, "Value not known", "The value of this expression cannot be told. Everything must be known when a plan is made.")
	}
	l.finish()
}

// finish puts the configuration together.
func (l *loader) finish() {
	l.finished = true
	for _, id := range sortedKeys(l.nodes) {
		if l.nodes[id].failed {
			continue
		}
		for _, in := range l.nodes[id].instances {
			if in.live() {
				l.config.Nodes = append(l.config.Nodes, in.node)
			}
		}
	}
	slices.SortFunc(l.config.Nodes, func(a, b *state.Node) int { return a.Addr.Compare(b.Addr) })
	slices.SortFunc(l.config.Skipped, func(a, b state.Skipped) int { return a.Addr.Compare(b.Addr) })
	slices.SortFunc(l.config.Outputs, func(a, b state.Output) int { return strings.Compare(a.Name, b.Name) })
	for _, name := range sortedKeys(l.variables) {
		if v, ok := l.variables[name].result(); ok {
			l.config.Variables = append(l.config.Variables, v)
		}
	}
	for _, v := range l.config.Variables {
		l.digest.value("variable", v.Name, v.Value)
	}
}

// decoder is a decoder that reports here.
func (l *loader) decoder() *decoder {
	return &decoder{report: l.hclDiags, unknown: &l.unknown, fileset: l.fileset}
}

// failedValue stands for what could not be evaluated: whatever is made of it is unknown and is not reported again.
func failedValue() cty.Value { return cty.DynamicVal }
