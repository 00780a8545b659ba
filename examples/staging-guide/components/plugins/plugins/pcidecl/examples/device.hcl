plugin "pcidecl" {
  device "0000:03:00.0" {
    vendor          = "8086"
    device          = "1533"
    driver_override = "vfio-pci"
  }
}
