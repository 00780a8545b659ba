package systemd

import (
	"fmt"
	"os"

	"github.com/opdbus/opdbus/providers/internal/hostfs"
	"github.com/opdbus/opdbus/providers/internal/marked"
)

const (
	unitDir = "/etc/systemd/system"
	// limit is how large a unit file is read.
	limit = 1 << 20
)

func pathOf(unit string) string { return unitDir + "/" + unit }

// unitFiles are the files in /etc/systemd/system and below it.
type unitFiles struct{ fs hostfs.FS }

// A unitFile is what stands at the path of a unit file.
type unitFile struct {
	there   bool
	masked  bool   // it is a link to /dev/null
	blocked string // it is no file that could be one
	content string // without the mark
	marked  bool
}

// isFile says that it is one, which may be written anew.
func (u unitFile) isFile() bool { return u.there && !u.masked && u.blocked == "" }

// ours says that it is a file that opdbus wrote, or has taken over as it was before.
func (u unitFile) ours(before *string) bool {
	return u.isFile() && (u.marked || before != nil && *before == u.content)
}

func (f unitFiles) read(t *hostfs.Tree, path string) (unitFile, error) {
	file, err := marked.ReadIn(t, path)
	u := unitFile{there: file.There, blocked: file.Blocked, content: file.Text, marked: file.Ours}
	switch {
	case file.Link == "/dev/null":
		u.masked, u.blocked = true, ""
	case file.There && file.Blocked == "" && !file.Ours && file.Text == "": // an empty file masks as well
		u.masked = err == nil
	}
	return u, err
}

// write makes a file say what it is to. What is there and is none of the two that it may be is left.
func (f unitFiles) write(path, content string, mark bool, before *string) error {
	t, err := f.fs.Open()
	if err != nil {
		return err
	}
	defer t.Close()
	if _, err := t.MkdirParents(path); err != nil {
		return err
	}
	live, err := f.read(t, path)
	if err != nil {
		return err
	}
	switch {
	case live.isFile() && live.content == content && live.marked == mark:
		return marked.Clear(t, path, false, nil)
	case live.there && !live.ours(before):
		return fmt.Errorf("%s changed since it was planned, and is left alone; make a new plan", path)
	}
	text := content
	if mark {
		text = marked.Mark + content
	}
	return marked.Put(t, path, live.there, text, hostfs.Attributes{UID: os.Geteuid(), GID: os.Getegid(), Mode: 0o644})
}

// remove removes a file of ours, and the directories that were made for it.
func (f unitFiles) remove(path string, before *string, parents []string) error {
	t, err := f.fs.Open()
	if err != nil {
		return err
	}
	defer t.Close()
	live, err := f.read(t, path)
	if err != nil {
		return err
	}
	return marked.Clear(t, path, live.ours(before), parents)
}

// sync brings what was written to disk: the files, and the links by which units are enabled.
func (f unitFiles) sync(paths []string) error { return marked.Files{FS: f.fs}.Sync(paths) }
