package stage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sort"
	"strings"
	"sync"

	"github.com/opdbus/opdbus/providers/internal/hostfs"
	"github.com/opdbus/opdbus/providers/internal/tree"
	"github.com/opdbus/opdbus/state"
)

// payloads is the provider of what is in stages' trees.
type payloads struct {
	*host
	// left are what deletions left because something is in them that nobody declared: nobody's from then on.
	left sync.Map // by leftover
}

type leftover struct {
	node state.NodeAddr
	path string
}

// errBatch says that the node has to be known: objects in its tree are read and made in batches only.
var errBatch = errors.New("what is in a node's tree can be read and made only with its address")

// Read cannot work without the node; ReadAll does.
func (*payloads) Read(context.Context, Payload) (*Payload, error) { return nil, errBatch }

// Apply cannot work without the node; ApplyAll does.
func (*payloads) Apply(context.Context, *Payload, *Payload) error { return errBatch }

// ReadAll looks at each node's tree once, without opening files that the index knows.
func (p *payloads) ReadAll(ctx context.Context, items []state.Item[Payload]) ([]*Payload, error) {
	nodes := map[state.NodeAddr][]int{}
	for i := range items {
		nodes[items[i].Addr.Node] = append(nodes[items[i].Addr.Node], i)
	}
	lives := make([]*Payload, len(items))
	owners := &owners{host: p.host}
	for node, of := range nodes {
		if err := p.readNode(ctx, node, items, of, lives, owners); err != nil {
			return nil, fmt.Errorf("cannot read the files of %s: %w", node, err)
		}
	}
	return lives, nil
}

// readNode reads the items of one node, which are numbered in of.
func (p *payloads) readNode(ctx context.Context, node state.NodeAddr, items []state.Item[Payload], of []int, lives []*Payload, owners *owners) error {
	var wanted map[string]bool
	entries, err := tree.Scan(ctx, p.dir(node), tree.Options{
		Index: tree.Load(p.index(node, ofTree)),
		Skip:  notPayload,
		Read: func(path string) bool { // asked only where the index does not know a file
			if wanted == nil {
				wanted = make(map[string]bool, len(of))
				for _, i := range of {
					wanted[items[i].Want.Path] = true
				}
			}
			return wanted[path]
		},
	})
	if errors.Is(err, fs.ErrNotExist) && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	found := make([]Payload, len(of))
	next := 0
	for n, i := range of {
		want := &items[i].Want
		if next >= len(entries) || entries[next].Path != want.Path {
			next = sort.Search(len(entries), func(i int) bool { return tree.Compare(entries[i].Path, want.Path) >= 0 })
			if next == len(entries) || entries[next].Path != want.Path {
				continue
			}
		}
		if _, left := p.left.Load(leftover{node, want.Path}); left {
			continue
		}
		if err := livePayload(&entries[next], want, owners, &found[n]); err != nil {
			return err
		}
		lives[i] = &found[n]
		next++
	}
	return nil
}

// notPayload are the paths in a tree that are not of the stage's source.
func notPayload(path string) bool { return path == ".opdbus" || path == markerName }

// livePayload is what an entry comes to. Texts that are as wanted are shared with what is wanted.
func livePayload(e *tree.Entry, want *Payload, owners *owners, live *Payload) (err error) {
	live.Path, live.From, live.Content = want.Path, want.From, want.Content
	switch {
	case e.Stat.IsRegular():
		live.Type, live.Size, live.Digest = typeFile, e.Stat.Size, shared(e.Digest, want.Digest)
	case e.Stat.IsDir():
		live.Type = typeDirectory
	case e.Stat.IsLink():
		live.Type, live.Link = typeSymlink, shared(e.Link, want.Link)
		return nil
	default:
		live.Type = typeOther
		return nil
	}
	live.Mode = liveMode(e.Stat.Perm(), want.Mode)
	if live.Owner, err = owners.user(e.Stat.UID, want.Owner); err != nil {
		return err
	}
	live.Group, err = owners.group(e.Stat.GID, want.Group)
	return err
}

func shared(live, want string) string {
	if live == want {
		return want
	}
	return strings.Clone(live) // rather than keep the whole index
}

// liveMode writes a mode, as it is wanted when it is the same. A mode that is not wanted is not looked at.
func liveMode(mode uint32, want string) string {
	if want == "" {
		return ""
	}
	if m, err := hostfs.ParseMode(want); err == nil && m == mode {
		return want
	}
	return hostfs.FormatMode(mode)
}

// owners names uids and gids as somebody wants them named. It reads the host's users only when it has to.
type owners struct {
	host     *host
	accounts *hostfs.Accounts
}

func (o *owners) load() (err error) {
	if o.accounts == nil {
		o.accounts, err = o.host.readAccounts()
	}
	return err
}

func (o *owners) user(uid uint32, want string) (string, error) {
	if want == "" || uid == 0 && want == rootName {
		return want, nil
	}
	if err := o.load(); err != nil {
		return "", err
	}
	if id, err := o.accounts.UID(want); err == nil && id == int(uid) {
		return want, nil
	}
	return o.accounts.User(int(uid)), nil
}

func (o *owners) group(gid uint32, want string) (string, error) {
	if want == "" || gid == 0 && want == rootName {
		return want, nil
	}
	if err := o.load(); err != nil {
		return "", err
	}
	if id, err := o.accounts.GID(want); err == nil && id == int(gid) {
		return want, nil
	}
	return o.accounts.Group(int(gid)), nil
}

// attributes are what mode, owner and group come to; empty, they are 0644, root and root.
func (o *owners) attributes(mode, owner, group string) (a hostfs.Attributes, err error) {
	a.Mode = 0o644
	if mode != "" {
		if a.Mode, err = hostfs.ParseMode(mode); err != nil {
			return a, err
		}
	}
	if plain(owner) && plain(group) {
		return a, nil
	}
	if err = o.load(); err != nil {
		return a, err
	}
	if a.UID, err = o.accounts.UID(owner); err != nil {
		return a, err
	}
	a.GID, err = o.accounts.GID(group)
	return a, err
}

func plain(name string) bool { return name == "" || name == rootName }
