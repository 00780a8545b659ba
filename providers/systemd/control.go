package systemd

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/opdbus/opdbus/providers/internal/hostfs"
)

// controlDir has the drop-ins by which properties are set until the next boot, as SetUnitProperties writes them.
const controlDir = "/run/systemd/system.control"

// controlPath is the drop-in that has a property.
func controlPath(unit, property string) string {
	return controlDir + "/" + unit + ".d/50-" + property + ".conf"
}

// notSet are the properties, of those that want has, that nobody has set at run time.
func (p *units) notSet(t *hostfs.Tree, want Unit) (names []string, err error) {
	for _, name := range slices.Sorted(maps.Keys(want.Properties)) {
		there := false
		err := t.In(controlPath(want.Name, name), func(d *hostfs.Dir, name string) (err error) {
			there, err = d.Exists(name)
			return err
		})
		if err != nil && !hostfs.IsMissing(err) {
			return nil, err
		}
		if !there {
			names = append(names, name)
		}
	}
	return names, nil
}

// unset takes away the drop-ins of properties that were not set when they were found: they would outlast their unit file.
func (p *units) unset(ctx context.Context, tasks []task) error {
	t, err := p.files.fs.Open()
	if err != nil {
		return err
	}
	defer t.Close()
	changed := false
	for _, task := range tasks {
		for _, property := range task.target.Unset {
			err := t.In(controlPath(task.target.Name, property), func(d *hostfs.Dir, name string) error {
				there, err := d.Exists(name)
				if err != nil || !there {
					return err
				}
				changed = true
				return d.Unlink(name)
			})
			if err != nil && !hostfs.IsMissing(err) {
				return fmt.Errorf("cannot unset %s of %s: %w", property, task.target.Name, err)
			}
		}
		if len(task.target.Unset) == 0 {
			continue
		}
		if err := t.RemoveEmpty([]string{controlDir + "/" + task.target.Name + ".d"}); err != nil {
			return fmt.Errorf("cannot unset properties of %s: %w", task.target.Name, err)
		}
	}
	if !changed {
		return nil
	}
	return p.manager.reload(ctx)
}
