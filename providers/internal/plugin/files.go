package plugin

import (
	"context"
	"os"

	"github.com/opdbus/opdbus/providers/internal/tree"
)

// Files lists the files of a plugin block's source.
func Files(ctx context.Context, dir string) ([]File, error) {
	entries, err := tree.Scan(ctx, dir, tree.Options{})
	if err != nil {
		return nil, err
	}
	var files []File
	for _, e := range entries {
		if e.Stat.IsRegular() {
			files = append(files, File{Path: e.Path, Digest: e.Digest, Read: func() ([]byte, error) { return os.ReadFile(e.Full) }})
		}
	}
	return files, nil
}
