// Whoever imports the engine needs the values that its calls take and return: point IDs, times, plans, errors.
@_exported import BackupPolicy
@_exported import Names
