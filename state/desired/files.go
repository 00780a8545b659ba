package desired

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/json"
	"github.com/opdbus/opdbus/state"
)

// Files are the sources read, for excerpts.
type Files struct {
	dir   string // as given, for names that can be opened from where the user is
	names []string
	files map[string]*hcl.File
	// shown are the names of files that are printed as they are, being named by the user.
	shown map[string]bool
}

func newFiles(dir string) *Files {
	return &Files{dir: dir, files: map[string]*hcl.File{}, shown: map[string]bool{}}
}

// display is a file's name as it is shown to the user.
func (f *Files) display(name string) string {
	if f == nil || name == "" || f.shown[name] || f.dir == "" || filepath.Clean(f.dir) == "." {
		return name
	}
	return filepath.Join(f.dir, name)
}

// Source is what a file held when it was read, by the name that places have; nil when it is not among them.
func (f *Files) Source(name string) []byte {
	if file := f.files[name]; file != nil {
		return file.Bytes
	}
	return nil
}

func (f *Files) add(name string, file *hcl.File) {
	if _, ok := f.files[name]; !ok {
		f.names = append(f.names, name)
	}
	f.files[name] = file
}

// IsConfig says whether a file of that name is part of the configuration in its directory.
func IsConfig(name string) bool { return isConfig(name) }

// sorts of files in a configuration's directory.
func isConfig(name string) bool { return isHCL(name, ".hcl") && !isValues(name) }
func isValues(name string) bool { return isHCL(name, ".vars.hcl") }
func isAuto(name string) bool   { return isHCL(name, ".auto.vars.hcl") }

func isHCL(name, suffix string) bool {
	return !strings.HasPrefix(name, ".") && (strings.HasSuffix(name, suffix) || strings.HasSuffix(name, suffix+".json"))
}

// discover lists the configuration's files and those with values that are read unasked.
func (l *loader) discover() (config, auto []string) {
	if l.o.File != "" && IsDocument(l.o.File) {
		return []string{l.o.File}, nil
	}
	entries, err := os.ReadDir(l.dir)
	if err != nil {
		l.diags.Errorf(state.Range{}, "Cannot read the configuration",
			"cannot read the directory: %s. Name the directory that holds the *.hcl files.", err)
		return nil, nil
	}
	for _, e := range entries { // sorted by name
		switch name := e.Name(); {
		case e.IsDir():
		case isAuto(name):
			auto = append(auto, name)
		case isConfig(name) && (l.o.File == "" || name == l.o.File):
			config = append(config, name)
		}
	}
	if len(config) == 0 {
		l.diags.Errorf(state.Range{}, "No configuration",
			"There is no *.hcl or *.hcl.json file in %s. Name the directory that holds the configuration, or write one there, such as main.hcl.", l.files.shownDir())
	}
	return config, auto
}

func (f *Files) shownDir() string {
	if f.dir == "" || f.dir == "." {
		return "this directory"
	}
	return f.dir
}

// maxFile bounds what is read of one file.
const maxFile = 64 << 20

// A source is a file read and parsed.
type source struct {
	name  string
	bytes []byte
	sum   [sha256.Size]byte
	file  *hcl.File
	diags hcl.Diagnostics
}

// parse reads and parses files side by side, and notes them for the digest and for excerpts.
func (l *loader) parse(names []string, path func(name string) string) []source {
	sources := make([]source, len(names))
	var wg sync.WaitGroup
	slots := make(chan struct{}, 8)
	for i, name := range names {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			sources[i] = l.parseFile(name, path(name))
		})
	}
	wg.Wait()
	for _, s := range sources {
		l.hclDiags(s.diags)
		if s.file != nil {
			l.files.add(s.name, s.file)
		}
		if s.bytes != nil {
			l.digest.source(hex.EncodeToString(s.sum[:]))
		}
	}
	return sources
}

func (l *loader) parseFile(name, path string) source {
	s := source{name: name}
	src, err := l.readFile(path)
	if err != nil {
		s.diags = plainDiag(hcl.Range{}, "Cannot read file", "cannot read "+name+": "+err.Error()+".")
		return s
	}
	s.bytes, s.sum = src, sha256.Sum256(src)
	if name == l.o.File && IsDocument(name) {
		var text []byte
		text, s.file, s.diags = translated(src, name)
		s.sum = sha256.Sum256(text)
		return s
	}
	s.file, s.diags = parseSource(src, name)
	return s
}

// parseSource parses either syntax, by the file's name.
func parseSource(src []byte, name string) (*hcl.File, hcl.Diagnostics) {
	if at, deep := tooDeep(src); deep {
		return &hcl.File{Bytes: src, Body: hcl.EmptyBody()}, plainDiag(rangeAt(src, name, at), "Nested too deeply", "Brackets or operators are nested more deeply here than any configuration needs.")
	}
	if strings.HasSuffix(name, ".json") {
		file, diags := json.Parse(src, name)
		if file == nil || file.Body == nil {
			file = &hcl.File{Bytes: src, Body: hcl.EmptyBody()}
		}
		return file, diags
	}
	return hclsyntax.ParseConfig(src, name, hcl.InitialPos)
}

func (l *loader) readFile(path string) ([]byte, error) {
	if src, ok := l.o.Overlay[path]; ok {
		return src, nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, unwrapPath(err)
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file")
	}
	if info.Size() > maxFile {
		return nil, errors.New("it is larger than 64 MiB")
	}
	src, err := os.ReadFile(path)
	return src, unwrapPath(err)
}
