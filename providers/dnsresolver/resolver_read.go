package dnsresolver

import (
	"context"
	"fmt"

	"github.com/opdbus/opdbus/providers/internal/marked"
	"github.com/opdbus/opdbus/state"
)

// dropIn is where resolved is told of what is wanted of the whole host.
const dropIn = "/etc/systemd/resolved.conf.d/50-opdbus.conf"

// resolvers is the provider of the resolver.
type resolvers struct {
	resolved resolved
	files    marked.Files
}

// Live says that the resolver is a state of the running host, for state.Live.
func (*resolvers) Live() {}

// Read reads the resolver from who owns /etc/resolv.conf: what resolved says is in force, or what the file says.
func (p *resolvers) Read(ctx context.Context, want Resolver) (*Resolver, error) {
	by, file, err := p.whose()
	if err != nil {
		return nil, fmt.Errorf("cannot read the resolver: %w", err)
	}
	live := &Resolver{Name: want.Name, File: want.File, Parents: want.Parents}
	switch by {
	case byResolved:
		err = p.fromResolved(ctx, live, want)
	case byNobody:
		fromPlain(live, want, file)
	default:
		live.refused = fmt.Sprintf("%s is written by %s, which opdbus cannot tell of servers. %s", resolvConf, by, by.remedy())
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the resolver: %w", err)
	}
	switch {
	case live.refused != "":
	case by == byNobody && !file.There:
		return nil, nil
	case by == byResolved && live.Foreign && live.absent(want) && !live.Same(want):
		return nil, nil
	}
	return live, nil
}

// fromPlain reads a plain file.
func fromPlain(live *Resolver, want Resolver, file marked.File) {
	if why := want.unfit(); why != "" {
		live.refused = fmt.Sprintf("%s is a plain file, which %s. Take that out, or give the file to systemd-resolved: ln -sf ../run/systemd/resolve/stub-resolv.conf %s", resolvConf, why, resolvConf)
		return
	}
	if !file.There {
		return
	}
	servers, search, options := fromFile(file.Text)
	if want.Servers != nil {
		live.Servers = inWordsOf(want.Servers, servers, parseServer)
	}
	if want.Search != nil {
		live.Search = inWordsOf(want.Search, search, parseDomain)
	}
	if want.Options != nil {
		live.Options = options
	}
	live.Foreign = !file.Ours
	live.file = &File{file.Text, file.Owner.Mode, file.Owner.UID, file.Owner.GID}
}

// fromResolved reads what is in force, by one call; where resolved does not run, nothing is.
func (p *resolvers) fromResolved(ctx context.Context, live *Resolver, want Resolver) error {
	if want.Options != nil {
		live.refused = resolvConf + " is written by systemd-resolved, which has no options. Take options out"
		return nil
	}
	file, err := p.files.Read(dropIn)
	if err != nil {
		return err
	}
	if file.There && !file.Ours {
		what := file.Blocked
		if what == "" {
			what = fmt.Sprintf("%d bytes that somebody else wrote", len(file.Text))
		}
		live.refused = fmt.Sprintf("%s is there already and is not opdbus' own: %s. Move it away", dropIn, what)
		return nil
	}
	live.Foreign = !file.There
	all, err := p.resolved.properties(ctx, managerPath, managerFace)
	if err != nil {
		return err
	}
	var addresses []struct {
		Link, Family int32
		Address      []byte
		Port         uint16
		Name         string
	}
	var domains []struct {
		Link  int32
		Name  string
		Route bool
	}
	if all != nil {
		if err := all["DNSEx"].Store(&addresses); err != nil {
			return fmt.Errorf("resolved tells its servers otherwise than it should: %w", err)
		}
		if err := all["Domains"].Store(&domains); err != nil {
			return fmt.Errorf("resolved tells its domains otherwise than it should: %w", err)
		}
	}
	if want.Servers != nil {
		var servers []server
		for _, a := range addresses {
			if a.Link != 0 { // a link's
				continue
			}
			s, err := address{a.Family, a.Address, a.Port, a.Name}.server()
			if err != nil {
				return err
			}
			servers = append(servers, s)
		}
		live.Servers = asWanted(want.Servers, servers, parseServer)
	}
	if want.Search != nil {
		var search []domain
		for _, d := range domains {
			if d.Link == 0 {
				search = append(search, domain{d.Name, d.Route})
			}
		}
		live.Search = asWanted(want.Search, search, parseDomain)
	}
	for _, w := range []struct {
		property   string
		want, live **string
	}{{"DNSSEC", &want.DNSSEC, &live.DNSSEC}, {"DNSOverTLS", &want.DNSOverTLS, &live.DNSOverTLS}} {
		if *w.want != nil {
			text, _ := all[w.property].Value().(string) // none where resolved does not run
			*w.live = &text
		}
	}
	return nil
}

// Owns says whether opdbus wrote what is there. It may have been edited.
func (*resolvers) Owns(made *Resolver, live Resolver) bool {
	return made != nil && live.refused == "" && !live.Foreign
}

// Claim keeps a plain file as it is found. What is set elsewhere for resolved comes back by itself when the drop-in goes.
func (*resolvers) Claim(want, live Resolver) (Resolver, error) {
	if live.refused != "" {
		return want, fmt.Errorf("%s", live.refused)
	}
	want.File = live.file
	return want, nil
}

// PlanAll keeps what was found, and notes which directories are to be made.
func (p *resolvers) PlanAll(_ context.Context, items []state.Planned[Resolver]) error {
	for i, it := range items {
		switch {
		case it.Want == nil:
		case it.Made != nil:
			items[i].Want.File, items[i].Want.Parents = it.Made.File, it.Made.Parents
		default:
			by, _, err := p.whose()
			if err != nil {
				return fmt.Errorf("cannot plan the resolver: %w", err)
			}
			if by == byResolved {
				parents, err := p.files.Parents(dropIn, nil)
				if err != nil {
					return err
				}
				items[i].Want.Parents = parents
			}
		}
	}
	return nil
}

// Disturbs says what becomes of who is looking something up.
func (p *resolvers) Disturbs(_, _ *Resolver) []string {
	if by, _, err := p.whose(); err != nil || by != byResolved {
		return nil
	}
	return []string{"restarts systemd-resolved.service"}
}

// Explain says what overrides it.
func (p *resolvers) Explain(_ context.Context, want Resolver, live *Resolver) string {
	if by, _, err := p.whose(); err != nil || by != byResolved || live == nil || live.Same(want) {
		return ""
	}
	return "another file in /etc/systemd/resolved.conf.d whose name comes after 50-opdbus.conf may say otherwise (systemd-analyze cat-config systemd/resolved.conf)"
}

// List is the resolver that there is.
func (p *resolvers) List(ctx context.Context) ([]Resolver, error) {
	by, file, err := p.whose()
	if err != nil {
		return nil, fmt.Errorf("cannot read the resolver: %w", err)
	}
	all := Resolver{Name: "global", Servers: []string{}, Search: []string{}}
	switch by {
	case byResolved:
		all.DNSSEC, all.DNSOverTLS = new(string), new(string)
	case byNobody:
		all.Options = []string{}
	default: // whoever it is, the file says where names are looked up
		t, err := p.files.FS.Open()
		if err != nil {
			return nil, err
		}
		defer t.Close()
		data, err := t.ReadFile(resolvConf, 1<<20)
		if err != nil {
			return nil, fmt.Errorf("cannot read the resolver: %w", err)
		}
		all.Servers, all.Search, all.Options = fromFile(string(data))
		return []Resolver{all}, nil
	}
	if by == byNobody && !file.There {
		return nil, nil
	}
	live := Resolver{Name: "global"}
	if by == byResolved {
		err = p.fromResolved(ctx, &live, all)
	} else {
		fromPlain(&live, all, file)
	}
	live.Foreign, live.file, live.refused = false, nil, ""
	return []Resolver{live}, err
}
