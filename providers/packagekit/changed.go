package packagekit

import (
	"context"
	"path/filepath"
	"time"

	"github.com/opdbus/opdbus/state"
)

// Changed is when dpkg last wrote the list of the package's files, which it does when it installs, replaces or removes it (dpkg(1)). Packages
// that may be installed for several architectures have theirs in the name.
func (p *packages) Changed(_ context.Context, item state.Item[Package]) (time.Time, error) {
	list := filepath.Join(dpkgDir, "info", item.Want.Name+".list")
	if of, err := filepath.Glob(filepath.Join(dpkgDir, "info", item.Want.Name+":*.list")); err == nil && len(of) == 1 {
		list = of[0]
	}
	return p.fs.Changed(list)
}
