package store_test

const storeTree = `drwxr-xr-x /var
drwxr-xr-x /var/lib
drwxr-xr-x /var/lib/op-dbus
drwxr-xr-x /var/lib/op-dbus/deployment
drwxr-xr-x /var/lib/op-dbus/deployment/images
drwxr-xr-x /var/lib/op-dbus/staging
drwx------ /var/lib/op-dbus/staging/snapshots
drwx------ /var/lib/op-dbus/state
drwx------ /var/lib/op-dbus/state/journal
-rw------- /var/lib/op-dbus/state/key
`

// recoverTree is of the unit that recovers at boot, unitTree with that of the image's mount too.
const (
	recoverTree = `drwxr-xr-x /etc
drwxr-xr-x /etc/systemd
drwxr-xr-x /etc/systemd/system
drwxr-xr-x /etc/systemd/system/multi-user.target.wants
Lrwxrwxrwx /etc/systemd/system/multi-user.target.wants/opdbus-network.service -> /etc/systemd/system/opdbus-network.service
Lrwxrwxrwx /etc/systemd/system/multi-user.target.wants/opdbus-recover.service -> /etc/systemd/system/opdbus-recover.service
-rw-r--r-- /etc/systemd/system/opdbus-network.service
-rw-r--r-- /etc/systemd/system/opdbus-recover.service
-rw-r--r-- /etc/systemd/system/opdbus-switch.path
-rw-r--r-- /etc/systemd/system/opdbus-switch.service
drwxr-xr-x /etc/systemd/system/paths.target.wants
Lrwxrwxrwx /etc/systemd/system/paths.target.wants/opdbus-switch.path -> /etc/systemd/system/opdbus-switch.path
`
	unitTree = `drwxr-xr-x /etc
drwxr-xr-x /etc/systemd
drwxr-xr-x /etc/systemd/system
drwxr-xr-x /etc/systemd/system/local-fs.target.wants
Lrwxrwxrwx /etc/systemd/system/local-fs.target.wants/var-lib-op\x2ddbus.mount -> /etc/systemd/system/var-lib-op\x2ddbus.mount
drwxr-xr-x /etc/systemd/system/multi-user.target.wants
Lrwxrwxrwx /etc/systemd/system/multi-user.target.wants/opdbus-network.service -> /etc/systemd/system/opdbus-network.service
Lrwxrwxrwx /etc/systemd/system/multi-user.target.wants/opdbus-recover.service -> /etc/systemd/system/opdbus-recover.service
-rw-r--r-- /etc/systemd/system/opdbus-network.service
-rw-r--r-- /etc/systemd/system/opdbus-recover.service
-rw-r--r-- /etc/systemd/system/opdbus-switch.path
-rw-r--r-- /etc/systemd/system/opdbus-switch.service
drwxr-xr-x /etc/systemd/system/paths.target.wants
Lrwxrwxrwx /etc/systemd/system/paths.target.wants/opdbus-switch.path -> /etc/systemd/system/opdbus-switch.path
-rw-r--r-- /etc/systemd/system/var-lib-op\x2ddbus.mount
`
)
