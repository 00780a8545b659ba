package reconciler

import (
	"context"
	"errors"
	"fmt"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/snapshot"
	"github.com/opdbus/opdbus/state/store"
)

// store looks at the store itself.
func (d *doctor) store(_ context.Context, s *store.Store) error {
	_, image, err := s.FreeOutside()
	if err != nil {
		return err
	}
	where := s.Dir() + ", on btrfs"
	if image != "" {
		where += ", in the image " + image
	}
	var wrong *store.Error
	err = s.Writable()
	switch {
	case errors.As(err, &wrong):
		d.add(Wrong, "store", where+": "+wrong.Problem, wrong.Remedy)
	case err != nil:
		d.add(Wrong, "store", err.Error(), "run `opdbus init`")
	default:
		d.add(Healthy, "store", where, "")
	}
	faults, err := s.Faults()
	for _, f := range faults {
		remedy := f.Remedy
		if f.Mend != nil {
			remedy = "run `opdbus fsck --repair`"
		}
		d.add(Wrong, "store", f.Path+" "+f.Problem, remedy)
	}
	return err
}

// Below so much there is room for some more runs, and not for many.
const (
	littleData     = 256 << 20
	littleMetadata = 64 << 20
)

// space looks at how much room there is.
func (d *doctor) space(_ context.Context, s *store.Store) error {
	space, err := snapshot.SpaceOf(s.Dir())
	if err != nil {
		return err
	}
	const more = 1 << 62 // than there is
	short, _ := space.Short(more, 0)
	data := more - short
	metadata := data
	if !space.Mixed {
		_, short = space.Short(0, more)
		metadata = more - short
	}
	what := fmt.Sprintf("%s free for data, %s for metadata", mebibytes(data), mebibytes(metadata))
	const remedy = "delete snapshots (opdbus snapshots prune, or delete), or enlarge the store's file system"
	var full *FullError
	switch { // an error of another sort is about the store, and said there
	case errors.As(d.Room(&state.Plan{}), &full):
		d.add(Wrong, "space", what+": full", remedy)
	case data < littleData || metadata < littleMetadata:
		d.add(Warning, "space", what+": nearly full", remedy)
	default:
		d.add(Healthy, "space", what, "")
	}
	free, image, err := s.FreeOutside()
	switch {
	case err != nil:
		return err
	case image != "" && free < data:
		d.add(Warning, "image", fmt.Sprintf("%s may grow by %s, and its file system has %s free", image, mebibytes(data), mebibytes(free)), "make room on that file system before it is full")
	case image != "":
		d.add(Healthy, "image", fmt.Sprintf("%s free on the file system of %s", mebibytes(free), image), "")
	}
	d.quotas(s)
	return nil
}

// quotas looks whether they are enabled: opdbus never does that.
func (d *doctor) quotas(s *store.Store) {
	switch enabled, err := snapshot.Quotas(s.Dir()); {
	case err != nil:
		d.cannot("quotas", err)
	case enabled:
		d.add(Warning, "quotas", "are enabled on the store's file system: deleting snapshots may freeze the host for minutes",
			fmt.Sprintf("unless something else needs them, run `btrfs quota disable %s`", s.Dir()))
	default:
		d.add(Healthy, "quotas", "are not enabled", "")
	}
}

// snapshots looks at how many there are, and whether they are ever deleted.
func (d *doctor) snapshots(context.Context, *store.Store) error {
	infos, err := d.Snapshots()
	if err != nil {
		d.cannot("snapshots", err)
		return nil
	}
	runs := map[int]bool{}
	for _, i := range infos {
		if i.Problem == "" {
			runs[i.Run] = true
		}
	}
	what := fmt.Sprintf("%d; runs that have some: %d", len(infos), len(runs))
	const many = 200
	set := d.o.Retention != nil && (d.o.Retention.Keep > 0 || d.o.Retention.KeepDays > 0)
	switch {
	case set:
		d.add(Healthy, "snapshots", what+"; the configuration limits how many are kept", "")
	case d.o.Retention != nil:
		d.add(Warning, "snapshots", what+", and the configuration sets no limit", "set keep or keep_days in its snapshots block")
	case len(infos) > many:
		d.add(Warning, "snapshots", what, "delete old ones by `opdbus snapshots prune --keep N`, or set a limit in the configuration's snapshots block")
	default:
		d.add(Healthy, "snapshots", what, "")
	}
	return nil
}

// fsck sums up what looking through the store finds.
func (d *doctor) fsck(ctx context.Context, _ *store.Store) error {
	found, err := d.Fsck(ctx)
	if err != nil {
		return err
	}
	problems, leftovers := found.Count(Problem), found.Count(Leftover)
	what := fmt.Sprintf("%d problems, %d leftovers", problems, leftovers)
	switch {
	case problems > 0:
		d.add(Wrong, "fsck", what, "run `opdbus fsck`, which says more, and then `opdbus fsck --repair`")
	case leftovers > 0:
		d.add(Warning, "fsck", what, "run `opdbus fsck --repair`")
	default:
		d.add(Healthy, "fsck", "nothing is wrong", "")
	}
	return nil
}
