package stage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/pelletier/go-toml/v2"

	"github.com/opdbus/opdbus/providers/internal/hostfs"
	"github.com/opdbus/opdbus/state"
)

// markers is the provider of the marks of deployed stages.
type markers struct{ *host }

// Read cannot work without the node; ReadAll does.
func (*markers) Read(context.Context, Marker) (*Marker, error) { return nil, errBatch }

// Apply cannot work without the node; ApplyAll does.
func (*markers) Apply(context.Context, *Marker, *Marker) error { return errBatch }

// ReadAll reads each node's marker.
func (m *markers) ReadAll(_ context.Context, items []state.Item[Marker]) ([]*Marker, error) {
	lives := make([]*Marker, len(items))
	for i := range items {
		data, err := inTree(m.dir(items[i].Addr.Node)).ReadFile("/"+markerName, 1<<20)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("cannot read the marker of %s: %w", items[i].Addr.Node, err)
		}
		lives[i] = &Marker{}
		if err := toml.Unmarshal(data, lives[i]); err != nil {
			lives[i] = &Marker{Problem: "it is not valid TOML"}
		}
	}
	return lives, nil
}

// ApplyAll writes the node's marker, with the run that the site is of.
func (m *markers) ApplyAll(_ context.Context, site state.Site, changes []state.ChangeOf[Marker]) error {
	for _, c := range changes {
		if err := m.apply(site, c.After); err != nil {
			return fmt.Errorf("cannot write the marker of %s: %w", site.Node, err)
		}
	}
	return nil
}

func (m *markers) apply(site state.Site, after *Marker) error {
	t, err := hostfs.FS{Root: site.Dir}.Open()
	if err != nil {
		return err
	}
	defer t.Close()
	return t.In("/"+markerName, func(d *hostfs.Dir, name string) error {
		if after == nil {
			return d.Unlink(name)
		}
		marker := *after
		marker.Run = site.Run
		data, err := toml.Marshal(marker)
		if err != nil {
			return err
		}
		return d.ReplaceFile(name, hostfs.Attributes{UID: os.Geteuid(), GID: os.Getegid(), Mode: 0o644}, func(f *os.File) error {
			_, err := f.Write(data)
			return err
		})
	})
}

// A treeReader reads files of a node's tree.
type treeReader string

func inTree(dir string) treeReader { return treeReader(dir) }

// ReadFile reads a file; one in a tree that does not exist does not exist.
func (r treeReader) ReadFile(name string, limit int64) ([]byte, error) {
	t, err := hostfs.FS{Root: string(r)}.Open()
	if err != nil {
		return nil, err
	}
	defer t.Close()
	return t.ReadFile(name, limit)
}
