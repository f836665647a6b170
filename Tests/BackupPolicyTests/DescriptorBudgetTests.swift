import BackupPolicy
import Testing

@Suite("The files that an agent may have open")
struct DescriptorBudgetTests {
  private func budget(_ limit: Int, _ databases: Int) -> DescriptorBudget {
    DescriptorBudget(limit: limit, databases: databases, workers: 2)
  }

  @Test("The wanted limit needs no concession, and one less does", arguments: [1, 2, 100, 5000])
  func wanted(databases: Int) {
    let wanted = DescriptorBudget.wanted(databases: databases, workers: 2)
    let full = budget(wanted, databases)
    #expect(full.keepsLocks && full.connections == databases && full.concession == nil)
    #expect(budget(wanted - 1, databases).concession != nil)
  }

  @Test("Connections are given up before locks")
  func order() {
    let locksOnly = budget(DescriptorBudget.wanted(databases: 0, workers: 2) + 600, 600)
    #expect(locksOnly.keepsLocks && locksOnly.connections == 0)
    let neither = budget(512, 600)
    #expect(!neither.keepsLocks && neither.connections == 72)
    #expect(neither.concession?.contains("512 files open, too few for 600 databases") == true)
  }

  @Test("If descriptors are scarce, fewer backups run at the same time, and at least one")
  func workers() {
    let workers = [0, 24, 64, 96, 120, 1024, Int.max].map {
      DescriptorBudget(limit: $0, databases: 50, workers: 4).workers
    }
    #expect(workers == [1, 1, 1, 2, 3, 4, 4])
  }

  @Test(
    "Kept connections and locks never use the descriptors that running backups need",
    arguments: [0, 1, 64, 224, 225, 300, 512, 1024, 20000])
  func reserve(limit: Int) {
    for databases in [1, 7, 72, 600, 4000] {
      let budget = budget(limit, databases)
      let kept = (budget.keepsLocks ? databases : 0) + budget.connections * 4
      let reserved = DescriptorBudget.wanted(databases: 0, workers: 2)
      #expect(kept == 0 || kept + reserved <= limit, "\(limit) files, \(databases) databases")
    }
  }

  @Test("Copies to targets get their share, and at least one runs", arguments: [64, 256, 300, 1024, 20000])
  func targets(limit: Int) {
    for targets in [1, 7, 300, 4000] {
      let budget = DescriptorBudget(limit: limit, databases: 300, targets: targets, workers: 2)
      #expect(budget.targetRuns >= 1 && budget.targetRuns <= min(targets, 32))
      let kept = (budget.keepsLocks ? 300 + targets : 0) + budget.connections * 4
      let reserved = DescriptorBudget.wanted(databases: 0, workers: 2) + budget.targetRuns * 16
      #expect(kept == 0 || kept + reserved <= limit, "\(limit) files, \(targets) targets")
    }
  }

  @Test("The wanted limit needs no concession for targets, and a low one is reported")
  func wantedTargets() {
    let wanted = DescriptorBudget.wanted(databases: 300, targets: 300, workers: 2)
    let full = DescriptorBudget(limit: wanted, databases: 300, targets: 300, workers: 2)
    #expect(full.keepsLocks && full.connections == 300 && full.targetRuns == 32 && full.concession == nil)
    let low = DescriptorBudget(limit: 256, databases: 300, targets: 300, workers: 2)
    #expect(!low.keepsLocks && low.targetRuns == 2)
    #expect(low.concession?.hasSuffix(", and copies go to 2 targets at a time") == true, "\(low.concession ?? "")")
  }
}
