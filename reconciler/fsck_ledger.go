package reconciler

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/durable"
	"github.com/opdbus/opdbus/state/ledger"
	"github.com/opdbus/opdbus/state/store"
)

// readLedger reads the ledger, all that is in it included.
func (f *fsck) readLedger(context.Context, *store.Store) error {
	there, err := exists(f.Store.Ledger())
	if err != nil {
		return err
	}
	if !there {
		f.ledgerIs = "is missing"
		return nil
	}
	l, err := ledger.Load(f.Store.Ledger())
	if err == nil {
		err = f.decodable(l)
	}
	if err != nil {
		var version *ledger.VersionError
		f.newer = errors.As(err, &version) && version.Newer()
		f.ledgerIs = err.Error()
		return nil
	}
	f.owned = l
	f.Checked.Nodes = len(l.Addrs())
	return nil
}

// decodable says what in a ledger cannot be decoded.
func (r *Reconciler) decodable(l *ledger.Ledger) error {
	for _, node := range l.Addrs() {
		for _, e := range l.Node(node).Objects {
			a, err := state.ParseLocal(node, e.Object)
			if err != nil {
				return fmt.Errorf("cannot read the ledger: %w", err)
			}
			kind, err := r.kind(a)
			if err == nil {
				_, err = kind.Decode(e.Made)
			}
			if err != nil {
				return fmt.Errorf("cannot read the ledger: %s: %w", a, err)
			}
		}
	}
	return nil
}

// checkLedger says what is wrong with the ledger, once the journals are known.
func (f *fsck) checkLedger(context.Context, *store.Store) error {
	place := f.Store.Ledger()
	if f.owned != nil {
		return f.compareLedger()
	}
	if f.ledgerIs == "is missing" && f.replay.lost == "" && f.replay.ledger.Run == 0 {
		return nil // nothing was owned yet
	}
	x := FsckFinding{Severity: Problem, Place: place, What: f.ledgerIs, Lost: "what opdbus owns on this host: commands refuse, or take what is there for somebody else's"}
	made := f.replay.lost
	if made == "" {
		if err := f.decodable(f.replay.ledger); err != nil {
			made = err.Error()
		}
	}
	switch {
	case f.newer:
		x.Lost, x.Remedy = "", "use the opdbus that wrote it, or a later one"
	case f.going():
	case made != "":
		x.Remedy = "put it back from a backup of the host; it cannot be made anew from the journals: " + made
	default:
		x.Repair = fmt.Sprintf("is made anew from the journals of runs %d to %d; what is there is kept beside it", f.replay.from, f.last)
		x.mend = f.rebuildLedger
		f.owned = f.replay.ledger // for what else is looked at
		f.Checked.Nodes = len(f.owned.Addrs())
	}
	f.add(x)
	return nil
}

// compareLedger notes where the ledger says something else than the journals. Either may have been edited.
func (f *fsck) compareLedger() error {
	if f.owned.Host != "" && f.owned.Host != f.MachineID {
		f.add(FsckFinding{Severity: Note, Place: f.Store.Ledger(), What: fmt.Sprintf("was last written on a host with machine id %s, and this one has %s: the store was copied, or is of an image", f.owned.Host, f.MachineID)})
	}
	if f.replay.lost != "" || f.open != nil || f.going() {
		return nil
	}
	is, err := f.owned.Encode()
	if err != nil {
		return err
	}
	told, err := f.replay.ledger.Encode()
	if err != nil || bytes.Equal(is, told) {
		return err
	}
	var differ []string
	seen := map[state.NodeAddr]bool{}
	for _, l := range []*ledger.Ledger{f.owned, f.replay.ledger} {
		for _, node := range l.Addrs() {
			a, errA := f.owned.Written(node)
			b, errB := f.replay.ledger.Written(node)
			if err := errors.Join(errA, errB); err != nil {
				return err
			}
			if !seen[node] && !bytes.Equal(a, b) {
				differ = append(differ, node.String())
			}
			seen[node] = true
		}
	}
	about := "its head"
	if len(differ) > 0 {
		about = differences(differ)
	}
	f.add(FsckFinding{Severity: Note, Place: f.Store.Ledger(), What: "is not what the journals tell of " + about + ": one of them was edited, or put back from a backup",
		Remedy: "to have the ledger made anew from the journals, move it away and run `opdbus fsck --repair`"})
	return nil
}

// rebuildLedger puts the ledger that the journals tell in the place of the damaged one, which gets a second name first: at no time is there
// none, which would be one that owns nothing.
func (f *fsck) rebuildLedger(context.Context) error {
	if err := aside(f.Store.Ledger()); err != nil {
		return err
	}
	return f.replay.ledger.Save(f.Store.Ledger())
}

// aside gives a file a second name, PATH.damaged-N, unless it has one already. One that is not there needs none.
func aside(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for n := 1; err == nil; n++ {
		to := path + damagedSuffix + strconv.Itoa(n)
		if err = os.Link(path, to); err == nil {
			return durable.SyncDir(filepath.Dir(path))
		}
		if !errors.Is(err, fs.ErrExist) {
			break
		}
		var other fs.FileInfo
		if other, err = os.Lstat(to); err == nil && os.SameFile(info, other) {
			return nil // by one who was cut off
		}
	}
	return fmt.Errorf("cannot set %s aside: %w", path, err)
}

const damagedSuffix = ".damaged-"

// isAside says whether a file's name is one that aside gives.
func isAside(name string) bool {
	_, n, ok := strings.Cut(name, damagedSuffix)
	_, err := strconv.Atoi(n)
	return ok && err == nil
}
