import FoundationEssentials
import TestSupport
import Testing

/// Random schedules and the results of two implementations in Python: croniter, and a few lines
/// that try each day, or each minute, one after the other.
enum CronOracle {
  struct Calendar: Decodable {
    var schedule: String
    /// Seconds since the epoch, UTC.
    var after: Int64
    /// The next runs; empty if there are none.
    var plain: [Int64]
    var croniter: [Int64]
  }

  struct ClockChange: Decodable {
    var zone: String
    var schedule: String
    /// Seconds since the epoch, the first and the last minute of the window.
    var first: Int64
    var last: Int64
    /// The time of a clock change, and the offsets before and after it.
    var change: Int64
    var before: Int64
    var after: Int64
    var plain: [Int64]
    var croniter: [Int64]
  }

  /// Schedules in UTC.
  static func calendars(_ count: Int, seed: Int) throws -> [Calendar] {
    try run("calendars", [count, seed])
  }

  /// Schedules in windows of fourteen hours around changes of the clocks.
  static func clockChanges(_ count: Int, seed: Int, changes: [String: [Int64]]) throws -> [ClockChange] {
    try run("clock_changes", [count, seed], stdin: Array(try JSONEncoder().encode(changes)))
  }

  private static func run<Answer: Decodable>(
    _ function: String, _ numbers: [Int], stdin: [UInt8] = []
  ) throws -> [Answer] {
    let result = try Python.run(
      script: schedules + readings + "\n\(function)(*map(int, sys.argv[1:]))", arguments: numbers.map { "\($0)" },
      stdin: stdin)
    try #require(result.status == 0, "\(result.stderr)")
    return try JSONDecoder().decode([Answer].self, from: Data(result.output))
  }

  private static let schedules = """
    import datetime, json, random, sys, zoneinfo
    from croniter import croniter, CroniterBadDateError

    UTC = datetime.timezone.utc
    RANGES = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 6)]
    NAMES = {3: "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 4: "Sun Mon Tue Wed Thu Fri Sat".split()}

    def item(dice, field):
        low, high = RANGES[field]
        first, last = sorted([dice.randint(low, high), dice.randint(low, high)])
        if field == 4 and dice.random() < 0.1:
            last = 7
        named = field in NAMES and last < 7 and dice.random() < 0.5
        word = lambda value: NAMES[field][value - low] if named else str(value)
        step = dice.randint(1, max(2, (high - low) // 3))
        # Seldom, but where readings may differ: a range that names every value, and a step from Sunday as 7.
        if field in (2, 4) and dice.random() < 0.05:
            return f"{low}-{high}" if dice.random() < 0.7 or field == 2 else f"7/{step}"
        return dice.choice([word(first), word(first), f"{word(first)}-{word(last)}", f"{word(first)}-{word(last)}/{step}",
            f"{word(first)}/{step}"])

    def field(dice, number):
        kind = dice.randrange(10)
        if kind < 4:
            return "*"
        if kind == 4:
            return f"*/{dice.randint(1, RANGES[number][1] - RANGES[number][0] + 1)}"
        return ",".join(item(dice, number) for _ in range(1 if kind < 8 else dice.randint(2, 4)))

    def values(text, number):
        low, high = RANGES[number]
        found = set()
        for part in text.lower().split(","):
            span, _, step = part.partition("/")
            ends = [str(low), str(high)] if span == "*" else span.split("-")
            for index, name in enumerate(NAMES.get(number, [])):
                ends = [str(index + low) if end == name.lower() else end for end in ends]
            ends = [int(end) for end in ends]
            last = ends[1] if len(ends) > 1 else max(high, ends[0]) if step else ends[0]
            found.update(range(ends[0], last + 1, int(step or 1)))
        return {value % 7 for value in found} if number == 4 else found

    class Plain:
        def __init__(self, text):
            fields = text.split()
            self.minutes, self.hours, self.days, self.months, self.weekdays = (
                values(part, number) for number, part in enumerate(fields))
            self.either = fields[2][0] != "*" and fields[4][0] != "*"
            self.by_real_time = fields[0][0] == "*" or fields[1][0] == "*"

        def fits_date(self, date):
            date_fits, weekday_fits = date.day in self.days, date.isoweekday() % 7 in self.weekdays
            return date.month in self.months and (
                date_fits or weekday_fits if self.either else date_fits and weekday_fits)

        def fits(self, time):
            return time.minute in self.minutes and time.hour in self.hours and self.fits_date(time)

    """

  private static let readings = """

    def calendars(count, seed):
        dice, answers = random.Random(seed), []
        for _ in range(count):
            text = " ".join(field(dice, number) for number in range(5))
            start = datetime.datetime.fromtimestamp(dice.randrange(0, 4_000_000_000), UTC)
            plain, schedule = [], Plain(text)
            day = start.replace(hour=0, minute=0, second=0)
            for _ in range(41 * 366):
                if schedule.fits_date(day):
                    times = (day.replace(hour=h, minute=m) for h in sorted(schedule.hours) for m in sorted(schedule.minutes))
                    plain += [int(time.timestamp()) for time in times if time > start]
                    if len(plain) >= 3:
                        break
                day += datetime.timedelta(days=1)
            other = croniter(text, start, ret_type=float, implement_cron_bug=True)
            try:
                theirs = [int(other.get_next()) for _ in plain[:3]]
            except CroniterBadDateError:
                theirs = []
            answers.append({"schedule": text, "after": int(start.timestamp()), "plain": plain[:3], "croniter": theirs})
        json.dump(answers, sys.stdout)

    def few_minutes(dice):
        # A few runs an hour: both of the others are slow.
        first, step = dice.randrange(60), dice.randint(10, 40)
        return dice.choice([str(first), str(first), "0,30", f"*/{step}", f"*/{step}", f"{first}/{step}", f"*/30,{first}"])

    def minute_by_minute(schedule, minutes):
        # As cron's own loop would do it: each minute of real time, and what the wall shows then.
        runs, shown, before = [], set(), minutes[0][1] - datetime.timedelta(minutes=1)
        for instant, wall in minutes:
            if schedule.by_real_time:
                if schedule.fits(wall):
                    runs.append(instant)
            else:
                skipped, due = before + datetime.timedelta(minutes=1), False
                while skipped < wall:
                    due = due or schedule.fits(skipped)
                    skipped += datetime.timedelta(minutes=1)
                if due or (schedule.fits(wall) and wall not in shown):
                    runs.append(instant)
            shown.add(wall)
            before = wall
        return runs

    def clock_changes(count, seed):
        dice, answers = random.Random(seed), []
        for name, changes in sorted(json.load(sys.stdin).items()):
            zone = zoneinfo.ZoneInfo(name)
            for change in changes:
                first, last = change - 7 * 3600, change + 7 * 3600
                minutes = [(second, datetime.datetime.fromtimestamp(second, zone).replace(tzinfo=None))
                    for second in range(first, last + 1, 60)]
                offset = lambda second: int(datetime.datetime.fromtimestamp(second, zone).utcoffset().total_seconds())
                for _ in range(count):
                    hours = dice.choice([field(dice, 1), field(dice, 1), str(minutes[len(minutes) // 2][1].hour), "0,1,2,3,23", "0-23"])
                    text = f"{few_minutes(dice)} {hours} * * {dice.choice(['*', '*', '*', field(dice, 4)])}"
                    other = croniter(text, datetime.datetime.fromtimestamp(first - 1, zone), ret_type=datetime.datetime,
                        implement_cron_bug=True)
                    theirs = [int(other.get_next().timestamp())]
                    while theirs[-1] <= last:
                        theirs.append(int(other.get_next().timestamp()))
                    answers.append({"zone": name, "schedule": text, "first": first, "last": last, "change": change,
                        "before": offset(change - 1), "after": offset(change),
                        "plain": minute_by_minute(Plain(text), minutes), "croniter": theirs[:-1]})
        json.dump(answers, sys.stdout)
    """
}
