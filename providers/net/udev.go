package net

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// udevData is where udev writes down what it knows of each device that it is done with.
const udevData = "/run/udev/data"

// udevPatience is how long udev may take to hear of a link.
const udevPatience = 5 * time.Second

// awaitUdev waits until udev is done with a link that has just been made: it gives links a name, a mac and an mtu of its own
// (systemd.link(5)), and would do so after opdbus has. It writes down each that it is done with. Where udev does not answer the link stays as
// it is made. Of networks other than that of the first process udev does not hear.
func awaitUdev(index int) error {
	if _, err := os.Stat("/run/udev/control"); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if !isHostsNetwork() {
		return nil
	}
	for end := time.Now().Add(udevPatience); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if _, err := os.Stat(fmt.Sprintf("%s/n%d", udevData, index)); err == nil {
			return nil
		}
	}
	return nil
}
