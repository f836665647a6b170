import Testing

@testable import BackupAgent

@Suite struct FollowUpTests {
  @Test func anEventIsFollowedByALookThatSettlesIt() {
    var followUp = FollowUp()
    #expect(followUp.deadline == nil)
    followUp.recordEvent(at: 1000)
    #expect(followUp.deadline == 1000)
    followUp.beginProbe()
    followUp.endProbe(.unchanged, at: 1001)
    #expect(followUp.deadline == nil && !followUp.isPending)
  }

  @Test func whileACommitIsPendingThePausesGrow() {
    var followUp = FollowUp()
    followUp.recordEvent(at: 1000)
    var time: Int64 = 1000
    var pauses: [Int64] = []
    while let deadline = followUp.deadline {
      pauses.append(deadline - time)
      time = deadline
      followUp.beginProbe()
      followUp.endProbe(.pending, at: time)
    }
    #expect(pauses.prefix(9) == [0, 1, 2, 4, 8, 16, 32, 50, 50])
    #expect(pauses.dropFirst(6).allSatisfy { (32...50).contains($0) })
    #expect((6000...6050).contains(time), "five seconds in all")
    #expect(followUp.isPending)
    followUp.poll(at: 36000)
    #expect(followUp.deadline == 36000)
    followUp.beginProbe()
    followUp.endProbe(.pending, at: 36001)
    #expect(followUp.deadline == nil && followUp.isPending, "one look a poll from then on")
    followUp.poll(at: 66000)
    followUp.beginProbe()
    followUp.endProbe(.changed, at: 66001)
    #expect(!followUp.isPending)
    followUp.poll(at: 96000)
    #expect(followUp.deadline == nil)
  }

  /// The probe's result may be older than the event.
  @Test func anEventDuringALookHasItsOwn() {
    var followUp = FollowUp()
    followUp.recordEvent(at: 1000)
    followUp.beginProbe()
    followUp.recordEvent(at: 1000)
    followUp.endProbe(.unchanged, at: 1000)
    #expect(followUp.isPending)
    #expect(followUp.deadline == 1000)
  }
}
