package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/opdbus/opdbus/reconciler/render"
	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/snapshot"
)

func (a *app) snapshotsDiffCommand() *cobra.Command {
	var asJSON, verbose bool
	c := &cobra.Command{
		Use:   "diff A B",
		Short: "Show how two snapshots of a node differ",
		Long: `Shows which files were added, removed or changed between snapshot A and snapshot B, and which objects had other live values.
Files are compared by content, mode, owner and type; times do not count.`,
		Args: cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			r, l, s, err := a.openSnapshots(args)
			if err != nil {
				return err
			}
			if s[0].Of() != s[1].Of() {
				return fmt.Errorf("%s is of %s and %s of %s; only snapshots of one node, or of one subvolume, can be compared", s[0].Name, s[0].Of(), s[1].Name, s[1].Of())
			}
			var files [2][]snapshot.File
			for i := range files {
				if files[i], err = snapshot.Files(s[i].Path); err != nil {
					return err
				}
			}
			secret, err := secretPaths(r, l, s, files[:]...)
			if err != nil {
				return err
			}
			differing := fileRows(snapshot.Compare(files[0], files[1]), secret, r.Key)
			objects, err := r.ChangesBetween(s[0].record, s[1].record, l)
			if err != nil {
				return err
			}
			if asJSON {
				rows, err := changeRows(objects, r.Key)
				if err != nil {
					return err
				}
				return a.printJSON(map[string]any{"a": s[0].Name, "b": s[1].Name, "files": differing, "objects": rows})
			}
			if len(differing) == 0 && len(objects) == 0 {
				fmt.Fprintln(a.out, "The snapshots do not differ.")
				return nil
			}
			if err := a.filesText(differing); err != nil || len(objects) == 0 {
				return err
			}
			fmt.Fprintf(a.out, "%s:\n", render.Count(len(objects), "object"))
			return render.Changes(a.out, objects, a.renderOptions(r, verbose))
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "list every object, however many are alike")
	c.ValidArgsFunction = only(2, a.completeSnapshots)
	return c
}

// A fileRow is a path that differs.
type fileRow struct {
	Path   string         `json:"path"`
	Action state.Action   `json:"action"`
	Before *snapshot.File `json:"before"`
	After  *snapshot.File `json:"after"`
}

func fileRows(differences []snapshot.FileDifference, secret func(path string) bool, key []byte) []fileRow {
	rows := make([]fileRow, 0, len(differences))
	for _, d := range differences {
		action := state.Update
		switch {
		case d.Before == nil:
			action = state.Create
		case d.After == nil:
			action = state.Delete
		}
		rows = append(rows, fileRow{d.Path(), action, maskedFile(d.Before, secret, key), maskedFile(d.After, secret, key)})
	}
	return rows
}

func (a *app) filesText(rows []fileRow) error {
	if len(rows) == 0 {
		return nil
	}
	fmt.Fprintf(a.out, "%s:\n", render.Count(len(rows), "path"))
	var table [][]string
	for _, row := range rows {
		table = append(table, []string{"    " + string(row.Action) + " " + row.Path, fileText(row.Before, row.After)})
	}
	return render.Table(a.out, nil, table)
}

// fileText says what a path was and is, as far as that differs.
func fileText(before, after *snapshot.File) string {
	switch {
	case before == nil:
		return contentText(*after)
	case after == nil:
		return contentText(*before)
	}
	var parts []string
	was, is := contentText(*before), contentText(*after)
	switch {
	case was != is:
		parts = append(parts, was+" -> "+is)
	case before.Digest != after.Digest:
		parts = append(parts, "content "+is)
	}
	if before.Mode != after.Mode {
		parts = append(parts, "mode "+before.Mode+" -> "+after.Mode)
	}
	if before.UID != after.UID || before.GID != after.GID {
		parts = append(parts, fmt.Sprintf("owner %d:%d -> %d:%d", before.UID, before.GID, after.UID, after.GID))
	}
	return strings.Join(parts, ", ")
}

func contentText(f snapshot.File) string {
	switch f.Type {
	case "file":
		if f.Sensitive {
			return "(sensitive)"
		}
		return render.Bytes(f.Size) + " " + shortDigest(f.Digest)
	case "symlink":
		return "-> " + f.Link
	}
	return f.Type
}
