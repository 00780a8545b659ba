package stage

import (
	"context"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/opdbus/opdbus/providers/internal/tree"
	"github.com/opdbus/opdbus/state"
)

// What content may be written into a block, and into a file of the source.
const (
	maxLiteral = 64 << 10
	maxSource  = 64 << 20
)

// Accept says how the block of a file, or the content that it is a copy of, has to change.
func (f *files) Accept(_ context.Context, node *state.Node, item state.Item[File], live File) (state.Acceptance, error) {
	want := item.Want
	switch {
	case live.Type != want.Type:
		return state.Acceptance{}, fmt.Errorf("it is %s now, and its block wants a %s; opdbus apply puts that back, or say in the block what it is to be", f.describe(live), want.Type)
	case want.Type == typeSymlink && f.staged(want.Link):
		return state.Acceptance{}, fmt.Errorf("it leads to %s now, and the link of a file block always leads into the stage; opdbus apply puts it back, or remove the block", live.Link)
	case want.Type == typeSymlink:
		return state.Acceptance{}, fmt.Errorf("it is a copy of a symlink in the stage's source and leads to %s now; change the symlink there by hand", live.Link)
	}
	a := state.Acceptance{Set: attributes(want.Mode, live.Mode, want.Owner, live.Owner, want.Group, live.Group)}
	if live.Digest == want.Digest {
		return a, nil
	}
	err := f.acceptContent(&a, payloadIn(node, want.Path), func(limit int64) ([]byte, error) {
		t, err := f.fs.Open()
		if err != nil {
			return nil, err
		}
		defer t.Close()
		return t.ReadFile(want.Target, limit)
	}, live.Digest)
	return a, err
}

// Accept says how what is staged has to change where it comes from: in a block's content, or in the stage's source. The mode
// and the owner of a staged file are those of the block that links to it.
func (p *payloads) Accept(_ context.Context, node *state.Node, item state.Item[Payload], live Payload) (state.Acceptance, error) {
	want := item.Want
	switch {
	case live.Type != want.Type:
		return state.Acceptance{}, fmt.Errorf("what is staged is a %s now and was a %s; opdbus apply puts that back", live.Type, want.Type)
	case want.Type == typeSymlink:
		return state.Acceptance{}, fmt.Errorf("it is a symlink of the stage's source and leads to %s now; change %q there by hand", live.Link, want.Path)
	}
	a := state.Acceptance{Set: attributes(want.Mode, live.Mode, want.Owner, live.Owner, want.Group, live.Group)}
	if len(a.Set) > 0 && want.Content == nil {
		at, linked := linkTo(node, want.Path)
		if !linked {
			return a, fmt.Errorf("no block says what its %s is: it comes with the stage's source or image; change that of %q there by hand", a.Set[0].Name, want.Path)
		}
		a.Block = at
	}
	if live.Digest == want.Digest {
		return a, nil
	}
	err := p.acceptContent(&a, &want, func(limit int64) ([]byte, error) {
		return inTree(p.dir(item.Addr.Node)).ReadFile("/"+want.Path, limit)
	}, live.Digest)
	return a, err
}

// Accept refuses: a marker says what was deployed.
func (*markers) Accept(context.Context, *state.Node, state.Item[Marker], Marker) (state.Acceptance, error) {
	return state.Acceptance{}, errors.New("it is the mark that opdbus makes of what is deployed; opdbus apply puts it back")
}

// attributes are those of mode, owner and group that differ.
func attributes(mode, liveMode, owner, liveOwner, group, liveGroup string) []state.Setting {
	var set []state.Setting
	for _, s := range []struct{ name, want, live string }{{"mode", mode, liveMode}, {"owner", owner, liveOwner}, {"group", group, liveGroup}} {
		if s.want != s.live {
			set = append(set, state.Setting{Name: s.name, Value: s.live})
		}
	}
	return set
}

// acceptContent adds what has to hold the content that is live: the block that has it, or the file in the source.
func (h *host) acceptContent(a *state.Acceptance, p *Payload, read func(limit int64) ([]byte, error), digest string) error {
	if p == nil {
		return errors.New("where its content comes from is not in the stage any more")
	}
	limit := int64(maxSource)
	if p.Content != nil {
		limit = maxLiteral
	}
	data, err := read(limit)
	switch {
	case err != nil:
		return fmt.Errorf("its content cannot be taken over: %w; change it by hand", err)
	case tree.Digest(data) != digest:
		return errors.New("it was changed again just now; try once more")
	case p.Content == nil:
		a.Write = []state.Content{{Path: p.From, Data: data}}
	case !utf8.Valid(data):
		return errors.New("its content is no UTF-8 text, which is all that a block can hold; put it into a file of the stage's source by hand")
	default:
		a.Set = append(a.Set, state.Setting{Name: "content", Value: string(data)})
	}
	return nil
}

// payloadIn is what is staged at a path; nil when nothing is.
func payloadIn(node *state.Node, path string) *Payload {
	for i := range node.Objects {
		if p, ok := node.Objects[i].Object.(Payload); ok && p.Path == path {
			return &p
		}
	}
	return nil
}

// linkTo is the place of the block that links to a path, and so says its mode and owner.
func linkTo(node *state.Node, path string) (state.Range, bool) {
	for i := range node.Objects {
		if f, ok := node.Objects[i].Object.(File); ok && f.Path == path && f.Type == typeSymlink {
			return node.Objects[i].Source, true
		}
	}
	return state.Range{}, false
}
