// Importers of the engine need the values that its calls take and return: backup IDs, times, plans,
// errors.
@_exported import BackupPolicy
@_exported import Names
