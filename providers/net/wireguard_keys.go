package net

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/wgkey"
)

// runtimeDir is where opdbus keeps of WireGuard what goes with the running system, as the interfaces do: which endpoint each peer was
// given, and keys that were replaced and that no other file has, so that they can be put back. Nobody but root may look into it.
const runtimeDir = "/run/opdbus/wireguard"

// keys finds the keys of interfaces and peers.
type keys struct {
	secret func() ([]byte, error) // of fingerprints; nil: there is none
}

// fingerprint is what is known of a preshared key where it must not be; empty where there is no key of fingerprints.
func (k keys) fingerprint(of wgkey.Key) (string, error) {
	if k.secret == nil {
		return "", nil
	}
	secret, err := k.secret()
	raw := of.Bytes()
	return state.Mask(secret, raw[:]).Fingerprint, err
}

// complete fills in what the files tell.
func (k keys) complete(want *WireGuard) error {
	private, err := wgkey.Read(want.PrivateKeyFile)
	if err != nil {
		return err
	}
	public, err := private.Public()
	if err != nil {
		return err
	}
	if want.DeclaredKey != nil && *want.DeclaredKey != public {
		return fmt.Errorf("the key in %s has the public key %s, and public_key says %s: put the right one into the file, or say its public key", want.PrivateKeyFile, public, *want.DeclaredKey)
	}
	want.PublicKey, want.Peers = &public, slices.Clone(want.Peers)
	for i := range want.Peers {
		peer := &want.Peers[i]
		if peer.PublicKey == public {
			return fmt.Errorf("peer %q has the interface's own public key: it is to have the other host's", peer.Name)
		}
		if peer.PresharedKeyFile == nil {
			continue
		}
		shared, err := wgkey.Read(*peer.PresharedKeyFile)
		if err != nil {
			return err
		}
		print, err := k.fingerprint(shared)
		if err != nil {
			return err
		}
		peer.PresharedKey = &print
	}
	return nil
}

// private is the private key that an interface is to have: the one in its file or, where that has been given another one since, the one
// that was kept when it was replaced.
func (k keys) private(want WireGuard) (wgkey.Key, error) {
	return keyIn(want.PrivateKeyFile, keptPrivate(*want.PublicKey), "the private key of "+*want.PublicKey, func(key wgkey.Key) (bool, error) {
		public, err := key.Public()
		return public == *want.PublicKey, err
	})
}

// preshared is the preshared key that a peer is to have; zero for none.
func (k keys) preshared(want Peer) (wgkey.Key, error) {
	if want.PresharedKey == nil {
		return wgkey.Key{}, nil
	}
	return keyIn(deref(want.PresharedKeyFile), keptPreshared(*want.PresharedKey), "the preshared key of "+want.PublicKey, func(key wgkey.Key) (bool, error) {
		print, err := k.fingerprint(key)
		return print == *want.PresharedKey, err
	})
}

func keyIn(file, kept, what string, is func(wgkey.Key) (bool, error)) (wgkey.Key, error) {
	var first error
	for _, name := range []string{file, kept} {
		if name == "" {
			continue
		}
		key, err := wgkey.Read(name)
		right := false
		if err == nil {
			if right, err = is(key); right {
				return key, err
			}
		}
		if err != nil && first == nil && name == file {
			first = err
		}
	}
	if first == nil {
		first = fmt.Errorf("%s has another key by now", file)
	}
	return wgkey.Key{}, fmt.Errorf("%s is in no file: %w; put it back there, or plan again for the new one", what, first)
}

// keepKey keeps a key that is about to be replaced, unless its file has it still.
func keepKey(key wgkey.Key, file, kept string) error {
	if key.IsZero() || kept == "" {
		return nil
	}
	for _, name := range []string{file, kept} {
		if had, err := wgkey.Read(name); err == nil && had == key {
			return nil
		}
	}
	if err := os.MkdirAll(runtimeDir, 0o700); err != nil {
		return err
	}
	if err := os.Remove(kept); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return wgkey.Write(kept, key)
}

func keptPrivate(public string) string {
	raw, _ := base64.StdEncoding.DecodeString(public)
	return filepath.Join(runtimeDir, "private-"+hex.EncodeToString(raw))
}

func keptPreshared(fingerprint string) string {
	_, sum, is := strings.Cut(fingerprint, ":")
	if !is {
		return ""
	}
	return filepath.Join(runtimeDir, "preshared-"+sum)
}

// keepKeys keeps those keys of a device that are no longer in the files of who had them.
func (k keys) keepKeys(d *wgtypes.Device, before *WireGuard) error {
	var of WireGuard
	if before != nil {
		of = *before
	}
	if err := keepKey(wgkey.Of(d.PrivateKey), of.PrivateKeyFile, keptPrivate(d.PublicKey.String())); err != nil {
		return err
	}
	for _, from := range d.Peers {
		at := slices.IndexFunc(of.Peers, func(p Peer) bool { return p.PublicKey == from.PublicKey.String() })
		file := ""
		if at >= 0 {
			file = deref(of.Peers[at].PresharedKeyFile)
		}
		print, err := k.fingerprint(wgkey.Of(from.PresharedKey))
		if err != nil {
			return err
		}
		if err := keepKey(wgkey.Of(from.PresharedKey), file, keptPreshared(print)); err != nil {
			return err
		}
	}
	return nil
}

// A configured endpoint is what a peer was given, and what that came to: it may be elsewhere since, as packets from it say (roaming).
type configured struct {
	Endpoint string `json:"endpoint"`
	Address  string `json:"address"`
}

func endpointsFile(name string) string { return filepath.Join(runtimeDir, name+".json") }

// readEndpoints are the configured endpoints of an interface's peers, by public key.
func readEndpoints(name string) (all map[string]configured, err error) {
	text, err := os.ReadFile(endpointsFile(name))
	if errors.Is(err, fs.ErrNotExist) {
		return map[string]configured{}, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read which endpoints the peers of %s were given: %w", name, err)
	}
	return all, nil
}

func writeEndpoints(name string, all map[string]configured) error {
	text, err := json.Marshal(all)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(runtimeDir, 0o700); err != nil {
		return err
	}
	file := endpointsFile(name)
	if err := os.WriteFile(file+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}
