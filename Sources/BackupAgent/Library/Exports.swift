// A scheduler is made from a service: whoever imports the one needs the other.
@_exported import BackupEngine
