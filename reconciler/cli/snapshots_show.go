package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/opdbus/opdbus/reconciler"
	"github.com/opdbus/opdbus/reconciler/render"
	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/ledger"
	"github.com/opdbus/opdbus/state/snapshot"
)

func (a *app) snapshotsShowCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "show NAME",
		Short: "Show what a snapshot holds",
		Long:  `Shows a snapshot's record, which says of which run and step it is and what the node's objects were, and sums up its files.`,
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			r, l, s, err := a.openSnapshots(args)
			if err != nil {
				return err
			}
			files, err := snapshot.Files(s[0].Path)
			if err != nil {
				return err
			}
			secret, err := secretPaths(r, l, s, files)
			if err != nil {
				return err
			}
			objects, err := r.Recorded(s[0].record, l)
			if err != nil {
				return err
			}
			if asJSON {
				return a.snapshotJSON(s[0], files, secret, objects, r.Key)
			}
			return a.snapshotText(s[0], files, objects)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.ValidArgsFunction = only(1, a.completeSnapshots)
	return c
}

// opened is a snapshot whose record has been read.
type opened struct {
	snapshot.Info
	record snapshot.Record
}

// openSnapshots finds the snapshots with these names and reads their records, and the ledger, which knows what is secret.
func (a *app) openSnapshots(names []string) (*reconciler.Reconciler, *ledger.Ledger, []opened, error) {
	r, err := a.reconciler(nil)
	if err != nil {
		return nil, nil, nil, err
	}
	l, err := owned(r)
	if err != nil {
		return nil, nil, nil, err
	}
	if r.Key, err = secretKey(r); err != nil {
		return nil, nil, nil, err
	}
	var infos []snapshot.Info
	if store, err := openStore(r); err != nil {
		return nil, nil, nil, err
	} else if store != nil {
		if infos, err = r.Snapshots(); err != nil {
			return nil, nil, nil, err
		}
	}
	all := make([]opened, len(names))
	for i, name := range names {
		for _, info := range infos {
			if info.Name == name {
				all[i].Info = info
			}
		}
		if all[i].Name == "" {
			return nil, nil, nil, fmt.Errorf("there is no snapshot %q; opdbus snapshots lists those that there are", name)
		}
		if all[i].record, err = snapshot.ReadRecord(all[i].Record()); err != nil {
			return nil, nil, nil, err
		}
	}
	return r, l, all, nil
}

func (a *app) snapshotText(s opened, files []snapshot.File, objects []state.Change) error {
	rows := [][]string{
		{"snapshot", s.Name},
		{"node", s.Of()},
		{"taken", taken(s.Head)},
		{"created", s.Created.Format(time.RFC3339)},
		{"plan", s.Plan},
		{"files", summaryText(files)},
	}
	for i, o := range objects {
		label, line := "", o.Addr.Local()
		if i == 0 {
			label = "objects"
		}
		if o.After == nil {
			line += " absent"
		}
		rows = append(rows, []string{label, line})
	}
	return render.Table(a.out, nil, rows)
}

func taken(h snapshot.Head) string {
	if h.Subvolume != "" {
		return fmt.Sprintf("%s of run %d", phaseText(h.Phase), h.Run)
	}
	return fmt.Sprintf("%s, in step %d of run %d", phaseText(h.Phase), h.Step, h.Run)
}

func phaseText(p snapshot.Phase) string {
	switch p {
	case snapshot.Pre:
		return "before the changes"
	case snapshot.Post:
		return "after the changes"
	}
	return "before a rollback"
}

// secretPaths says of which files of the snapshots of a node, or of a subvolume, the content is not shown: of a subvolume's, of those that
// not everybody on the host may read, or get to.
func secretPaths(r *reconciler.Reconciler, l *ledger.Ledger, of []opened, files ...[]snapshot.File) (func(path string) bool, error) {
	if of[0].Subvolume == "" {
		heads := make([]snapshot.Head, len(of))
		for i, s := range of {
			heads[i] = s.Head
		}
		return r.SecretPaths(l, heads...)
	}
	secret := map[string]bool{}
	for _, s := range of {
		root, err := os.Stat(s.Path)
		if err != nil {
			return nil, err
		}
		if root.Mode()&0o001 == 0 { // nobody else gets to any of it
			return func(string) bool { return true }, nil
		}
	}
	for _, f := range slices.Concat(files...) {
		others := f.Mode[len(f.Mode)-1:]
		if f.Type == "file" && !strings.ContainsAny(others, "4567") || f.Type == "directory" && !strings.ContainsAny(others, "1357") {
			secret[f.Path] = true
		}
	}
	return func(path string) bool {
		for ; path != "."; path = filepath.Dir(path) {
			if secret[path] {
				return true
			}
		}
		return false
	}, nil
}

// A summary counts what is in a snapshot.
type summary struct {
	Files       int   `json:"files"`
	Directories int   `json:"directories"`
	Symlinks    int   `json:"symlinks"`
	Others      int   `json:"others"`
	Size        int64 `json:"size"` // of the files, in bytes
}

func summarize(files []snapshot.File) (s summary) {
	for _, f := range files {
		switch f.Type {
		case "file":
			s.Files++
			s.Size += f.Size
		case "directory":
			s.Directories++
		case "symlink":
			s.Symlinks++
		default:
			s.Others++
		}
	}
	return s
}

func summaryText(files []snapshot.File) string {
	s := summarize(files)
	parts := []string{render.Count(s.Files, "file") + " (" + render.Bytes(s.Size) + ")", render.Count(s.Symlinks, "link")}
	if s.Directories == 1 {
		parts = append(parts, "1 directory")
	} else {
		parts = append(parts, fmt.Sprintf("%d directories", s.Directories))
	}
	if s.Others > 0 {
		parts = append(parts, render.Count(s.Others, "special file"))
	}
	return strings.Join(parts, ", ")
}

func (a *app) snapshotJSON(s opened, files []snapshot.File, secret func(path string) bool, objects []state.Change, key []byte) error {
	sums := summarize(files)
	if s.Subvolume != "" { // a whole system, of which only the sums are of interest
		files, secret = nil, nil
	}
	shown := make([]snapshot.File, len(files))
	for i, f := range files {
		shown[i] = *maskedFile(&f, secret, key)
	}
	type object struct {
		Addr state.Addr      `json:"address"`
		Live json.RawMessage `json:"live"`
	}
	rows := make([]object, 0, len(objects))
	for _, o := range objects {
		_, live, err := o.Masked(key)
		if err != nil {
			return fmt.Errorf("%s: %w", o.Addr, err)
		}
		rows = append(rows, object{o.Addr, live})
	}
	return a.printJSON(struct {
		Name string `json:"name"`
		snapshot.Head
		Summary summary         `json:"summary"`
		Files   []snapshot.File `json:"files"`
		Objects []object        `json:"objects"`
	}{s.Name, s.Head, sums, shown, rows})
}

// maskedFile is a file as it may be shown; nil stays nil.
func maskedFile(f *snapshot.File, secret func(path string) bool, key []byte) *snapshot.File {
	if f == nil || !secret(f.Path) {
		return f
	}
	masked := f.Masked(key)
	return &masked
}
