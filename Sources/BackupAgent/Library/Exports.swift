// A scheduler is made from a service, so importers of one need the other.
@_exported import BackupEngine
