package hostfs

import (
	"fmt"
	"io"
	"path"
)

// ReadFile reads a regular file of at most limit bytes. A link at the end of its path is followed, inside the root.
func (t *Tree) ReadFile(target string, limit int64) (data []byte, err error) {
	for range maxLinks {
		next := ""
		err = t.In(target, func(d *Dir, name string) error {
			if text, err := d.Readlink(name); err == nil {
				if next = path.Clean(text); !path.IsAbs(text) {
					next = path.Join(d.Path, text)
				}
				return nil
			}
			f, err := d.Open(name)
			if err != nil {
				return err
			}
			defer f.Close()
			if data, err = io.ReadAll(io.LimitReader(f, limit+1)); err == nil && int64(len(data)) > limit {
				err = fmt.Errorf("%s is larger than %d bytes", target, limit)
			}
			return err
		})
		if err != nil || next == "" {
			return data, err
		}
		target = next
	}
	return nil, &BlockedError{Path: target, Reason: "it leads through too many links"}
}
