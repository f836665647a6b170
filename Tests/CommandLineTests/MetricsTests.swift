import BackupAgent
import BackupPolicy
import TestSupport
import Testing
import Wording

@Suite("Metrics for Prometheus", .ownThread) struct MetricsTests {
  private let now = Timestamp(milliseconds: 1_732_284_202_250)

  private var facts: StateFacts {
    var facts = StateFacts(name: "a \"b\"\\\n", path: "/srv/app.db", watch: .events)
    facts.unprotectedSince = Timestamp(milliseconds: 1_732_284_200_000)
    facts.alarms = [
      .init(kind: "disk_full", since: now, message: "the disk is full", hint: nil, stopsBackups: true)
    ]
    facts.copies = [.init(name: "nas", unsent: 3, unsentSince: now, lastSuccess: nil, error: "gone")]
    var usage = TargetUsage()
    (usage.objects, usage.bytes, usage.newest, usage.month) = (12, 3_145_728, now, "2024-11")
    (usage.requests, usage.sentBytes) = (RequestCount(puts: 40, gets: 2, lists: 1), 4096)
    (facts.copies[0].usage, facts.copies[0].prices) = (usage, StorePrices(store: "S3"))
    return facts
  }

  private var counters: BackupCounters {
    var counters = BackupCounters()
    counters.recordStored(.full, bytes: 1000, pages: 25, duration: 40, delay: 700)
    counters.recordStored(.incremental, bytes: 50, pages: 2, duration: 3, delay: nil)
    counters.record(.failed)
    counters.record(.oneReset)
    counters.recordDrill(restore: 1200)
    counters.recordDrill(restore: nil)
    counters.trackerMisses = 2
    var traffic = TargetTraffic()
    traffic.record(.put, duration: 30, received: 0, retry: .throttled)
    traffic.record(.put, duration: 40, received: 0, retry: nil)
    traffic.record(.list, duration: 5, received: 900, retry: nil)
    counters.targets = ["nas": traffic]
    return counters
  }

  private var messages: MessageCounts {
    var messages = MessageCounts()
    messages.begin("mail")
    messages.record(.failed, by: "mail")
    return messages
  }

  private func page(start: Timestamp? = nil) -> String {
    MetricsPage([.init(facts: facts, counters: counters)], messages, start: start, at: now).text
  }

  @Test("Each value has its line, in the right unit, and names are escaped")
  func lines() {
    let lines = page(start: now).split(separator: "\n")
    let label = #"database="a \"b\"\\\n""#
    for line in [
      "holdfast_unprotected_since_timestamp_seconds{\(label)} 1732284200",
      "holdfast_alarm{\(label),kind=\"disk_full\"} 1", "holdfast_alarm{\(label),kind=\"locked\"} 0",
      "holdfast_backups_total{\(label),outcome=\"stored\"} 2", "holdfast_backups_total{\(label),outcome=\"failed\"} 1",
      "holdfast_backup_bytes_total{\(label),kind=\"full\"} 1000",
      "holdfast_backup_delay_seconds_bucket{\(label),le=\"0.5\"} 0",
      "holdfast_backup_delay_seconds_bucket{\(label),le=\"1\"} 1", "holdfast_backup_delay_seconds_sum{\(label)} 0.7",
      "holdfast_backup_duration_seconds_bucket{\(label),kind=\"incremental\",le=\"0.005\"} 1",
      "holdfast_pages_stored_total{\(label),kind=\"incremental\"} 2",
      "holdfast_comparisons_total{\(label),proof=\"one_reset\"} 1",
      "holdfast_comparisons_total{\(label),proof=\"compared\"} 0",
      "holdfast_notifications_total{channel=\"mail\",outcome=\"accepted\"} 0",
      "holdfast_notifications_total{channel=\"mail\",outcome=\"failed\"} 1",
      "holdfast_tracker_misses_total{\(label)} 2", "holdfast_drills_total{\(label),outcome=\"passed\"} 1",
      "holdfast_drill_restore_seconds_sum{\(label)} 1.2", "holdfast_target_up{\(label),target=\"nas\"} 0",
      "holdfast_target_owed_backups{\(label),target=\"nas\"} 3", "holdfast_agent_up 1",
      "holdfast_target_newest_backup_timestamp_seconds{\(label),target=\"nas\"} 1732284202.25",
      "holdfast_target_objects{\(label),target=\"nas\"} 12",
      "holdfast_target_stored_bytes{\(label),target=\"nas\"} 3145728",
      "holdfast_target_requests_total{\(label),target=\"nas\",operation=\"put\"} 40",
      "holdfast_target_sent_bytes_total{\(label),target=\"nas\"} 4096",
      "holdfast_target_received_bytes_total{\(label),target=\"nas\"} 900",
      "holdfast_target_retries_total{\(label),target=\"nas\",reason=\"throttled\"} 1",
      "holdfast_target_retries_total{\(label),target=\"nas\",reason=\"full\"} 0",
      "holdfast_target_request_duration_seconds_bucket{\(label),target=\"nas\",operation=\"put\",le=\"0.05\"} 2",
      "holdfast_target_request_duration_seconds_sum{\(label),target=\"nas\",operation=\"put\"} 0.07",
      "holdfast_start_timestamp_seconds 1732284202.25", "holdfast_metrics_written_timestamp_seconds 1732284202.25",
    ] { #expect(lines.contains(Substring(line)), "\(line)") }
    #expect(!page().contains("\nholdfast_start") && page().contains("\nholdfast_agent_up 0\n"))
    #expect(!page().contains("\nholdfast_newest_backup_timestamp_seconds{"), "there is no backup")
  }

  @Test("A report has what each target holds and costs")
  func report() {
    let text = NoticeText(Notice(.report), [facts], host: "web-1", at: now, in: .utc).plain
    for line in [
      "nas holds 12 objects, 3 MiB, less than $0.0001 on S3 a month",
      "nas in 2024-11: 40 uploads, 2 reads, 1 list, 4 KiB sent, $0.0002 on S3",
    ] { #expect(text.contains(line), "\(text)") }
  }

  @Test("promtool finds no flaw in a page, and the alert rules fire as their tests say")
  func judge() throws {
    let script = "import subprocess, sys; sys.exit(subprocess.run(['promtool', *sys.argv[1:]]).returncode)"
    let check = try Python.run(script: script, arguments: ["check", "metrics"], stdin: Array(page(start: now).utf8))
    #expect(check.status == 0 && check.stdout.isEmpty && check.stderr.isEmpty, "\(check)")
    let rules = "\(projectFolder)/contrib/monitoring"
    for arguments in [
      ["check", "rules", "\(rules)/alerts.yml"],
      ["test", "rules", "\(rules)/alerts_test.yml", "\(rules)/drill_alerts_test.yml"],
    ] {
      let result = try Python.run(script: script, arguments: arguments)
      #expect(result.status == 0, "\(result)")
    }
  }

  @Test("Counts survive the way from the agent to a command")
  func counts() {
    #expect(BackupCounters(counters.json) == counters)
    #expect(BackupCounters(.object([:])) == BackupCounters())
    #expect(BackupCounters(nil) == nil)
    #expect(MessageCounts(messages.json).json == messages.json && MessageCounts(nil) == MessageCounts())
  }

  @Test("The agent writes its file at once, keeps it current, and says once if it cannot")
  func file() throws {
    let bed = try CommandBed(rows: 20)
    let output = try bed.python(
      """
      import os, signal, sqlite3, subprocess, sys, time
      program, folder = sys.argv[1:3]
      signal.pthread_sigmask(signal.SIG_SETMASK, [])
      path = folder + "/metrics/holdfast.prom"
      os.mkdir(folder + "/metrics")
      log = open(folder + "/log", "w+")
      environment = {**os.environ, "BACKUP_METRICS_FILE": path}
      def start():
          return subprocess.Popen([program, "agent", "--debounce", "50ms"], cwd=folder, stderr=log, env=environment)
      agent = start()
      def value(name):
          try: lines = open(path).read().splitlines()
          except FileNotFoundError: return None
          assert lines[-1].startswith("holdfast_metrics_written"), lines
          return next((float(line.split()[-1]) for line in lines if line.startswith(name)), None)
      def until(condition):
          for _ in range(600):
              if condition(): return
              time.sleep(0.05)
          raise SystemExit("never: " + open(path).read())
      try:
          until(lambda: value('holdfast_backups_total{database="app",outcome="stored"}') == 1)
          assert os.stat(path).st_mode & 0o777 == 0o644
          connection = sqlite3.connect(folder + "/app.db", timeout=20)
          connection.execute("INSERT INTO entries (text) VALUES ('more')")
          connection.commit()
          until(lambda: value('holdfast_backups_total{database="app",outcome="stored"}') == 2)
          until(lambda: value("holdfast_unprotected_since_timestamp_seconds{") == 0)
          printed = subprocess.run([program, "metrics"], cwd=folder, capture_output=True, text=True).stdout
          assert 'holdfast_backup_delay_seconds_count{database="app"} 2' in printed, printed
          assert "holdfast_agent_up 1" in printed, printed
          pages = value('holdfast_pages_stored_total{database="app",kind="incremental"}')
          assert 1 <= pages < 10, pages
          searches = sum(value(f'holdfast_comparisons_total{{database="app",proof="{proof}"}}') for proof in
              "known same_generation untouched_file one_reset unchanged_file compared".split())
          assert searches == 1, printed
          os.rename(folder + "/metrics", folder + "/away")
          for number in range(2, 4):
              connection.execute("INSERT INTO entries (text) VALUES ('more')")
              connection.commit()
              until(lambda: subprocess.run([program, "metrics"], cwd=folder, capture_output=True, text=True)
                  .stdout.count(f'outcome="stored"}} {number + 1}'))
              time.sleep(1.2)
          text = open(folder + "/log").read()
          assert text.count("the metrics are not written") == 1, text
          os.rename(folder + "/away", folder + "/metrics")
          connection.execute("INSERT INTO entries (text) VALUES ('more')")
          connection.commit()
          until(lambda: "the metrics are written again" in open(folder + "/log").read())
          assert os.listdir(folder + "/metrics") == ["holdfast.prom"]
      finally:
          agent.terminate()
          agent.wait()
      printed = subprocess.run([program, "metrics"], cwd=folder, capture_output=True, text=True).stdout
      assert "holdfast_agent_up 0" in printed and "holdfast_newest_backup_timestamp_seconds{" in printed, printed
      assert "holdfast_newest_verified" not in printed, printed
      subprocess.run([program, "verify", "latest"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
      agent = start()
      try:
          verified = lambda: value("holdfast_newest_verified_timestamp_seconds{")
          until(lambda: verified() and verified() == value("holdfast_newest_backup_timestamp_seconds{"))
      finally:
          agent.terminate()
          agent.wait()
      print("good")
      """, CommandBed.program, bed.folder.path, environment: bed.environment())
    #expect(output.hasPrefix("good"))
  }
}
