package state

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A lamp is what nobody says more of than its tags do.
type lamp struct {
	Name    string   `hcl:"name,label" json:"name"`
	Color   string   `hcl:"color" json:"color"`
	On      *bool    `hcl:"on,optional" json:"on,omitempty"`
	Rooms   []string `hcl:"rooms,optional" json:"rooms,omitempty"`
	Serial  string   `json:"serial,omitempty"`
	Comment string   `hcl:"comment,optional" json:"-"`
}

func (l lamp) Key() string { return l.Name }

type lamps struct{}

func (lamps) Read(context.Context, lamp) (*lamp, error) { return nil, nil }
func (lamps) Apply(context.Context, *lamp, *lamp) error { return nil }

func TestAccept(t *testing.T) {
	kind := KindOf[lamp]("home", "lamp", lamps{})
	yes := true
	want := lamp{Name: "hall", Color: "red", Rooms: []string{"a"}, Comment: "an instruction"}
	accept := func(live lamp) (Acceptance, error) {
		return kind.Accept(t.Context(), &Node{}, Addr{}, want, live)
	}
	t.Run("each attribute that differs is set under its name", func(t *testing.T) {
		got, err := accept(lamp{Name: "hall", Color: "blue", On: &yes, Rooms: []string{}})
		require.NoError(t, err)
		assert.Equal(t, Acceptance{Set: []Setting{{"color", "blue"}, {"on", &yes}, {"rooms", []string{}}}}, got)
	})
	t.Run("what no block can say is told", func(t *testing.T) {
		_, err := accept(lamp{Name: "hall", Color: "red", Rooms: []string{"a"}, Serial: "1"})
		assert.EqualError(t, err, "no attribute of a block says what its serial is; opdbus apply puts it back")
		_, err = accept(lamp{Name: "hall", Color: "red"})
		assert.EqualError(t, err, `it has no rooms any more; take "rooms" out of its block by hand`)
	})
}
