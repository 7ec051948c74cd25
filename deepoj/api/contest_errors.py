"""Every error of contests, as ``error_table`` has the others."""

from __future__ import annotations

from deepoj.api.codes import Code, CodedError
from deepoj.words.contests import MAX_QUESTIONS


class ContestError(CodedError):
    """The errors: status, code, English and Chinese sentence. ``Refused`` fills in the ``{…}``."""

    NOT_IN_CONTEST = (
        403,
        Code.NOT_IN_CONTEST,
        "You are in no team of this contest, or it does not have this problem.",
        "您不在本场比赛的任何队伍中，或者比赛中没有这道题。",
    )
    CONTEST_NOT_RUNNING = (403, Code.CONTEST_NOT_RUNNING, "The contest is not running.", "比赛尚未开始或已结束。")
    CONTEST_PAUSED = (
        403,
        Code.CONTEST_PAUSED,
        "The contest is paused: submit when it goes on.",
        "比赛暂停中：请在继续后提交。",
    )
    CONTEST_CLOCK_SAME = (
        409,
        Code.CONTEST_CLOCK,
        "There is nothing to do: it is so already.",
        "当前已是该状态，无需更改。",
    )
    NO_SUCH_INTERVAL = (409, Code.CONTEST_CLOCK, "The contest's past has no such interval.", "没有这段时间。")
    NO_SUCH_TEAM = (404, Code.NOT_FOUND, "There is no such team in the contest.", "比赛中没有这支队伍。")
    NO_SUCH_PASSWORDS = (
        404,
        Code.NOT_FOUND,
        "These new passwords are not waiting any more: they hold already, or were made again, thrown away, or are older"
        " than a day. If they do not hold, the old ones do. Make new ones.",
        "这些新密码不在等待生效：已生效、已重新生成、已丢弃或已超过一天。若未生效，原密码仍然有效；需要时请重新生成。",
    )
    CONTEST_PROBLEM = (
        403,
        Code.CONTEST_PROBLEM,
        "This problem is part of a contest of yours that is running. Submit it there.",
        "您参加的比赛正在进行，且包含这道题：请在比赛中提交。",
    )
    CONTEST_ID_DIFFERS = (409, Code.INVALID_PARAM, "The body names another contest.", "请求体中的 id 与比赛不符。")
    CONTEST_TIME_KEPT = (403, Code.FORBIDDEN, "The time is not changed: {problem}.", "时间未更改：{problem}。")
    CONTEST_CHANGE_REFUSED = (403, Code.FORBIDDEN, "The contest refuses this: {problem}.", "比赛不允许：{problem}。")
    CONTEST_WEBHOOKS_FULL = (
        409,
        Code.TOO_MANY_WEBHOOKS,
        "You have {most} webhooks, the most that an account may have: delete one first.",
        "每个账号最多可注册 {most} 个比赛回调：请先删除一个。",
    )
    NO_SUCH_CONTEST = (404, Code.CONTEST_NOT_FOUND, "There is no such contest.", "比赛不存在。")
    CONTEST_RUNS_OFF = (403, Code.FORBIDDEN, "This contest allows no runs.", "本场比赛不允许运行程序。")
    NO_SUCH_CELL = (404, Code.NOT_FOUND, "The board has no such team or problem.", "榜单上没有该队伍或题目。")
    CONTEST_KEY_TAKEN = (
        409,
        Code.CONTEST_KEY_TAKEN,
        "Another contest has this key: choose one.",
        "该标识已被其他比赛使用，请另选一个。",
    )
    CONTEST_START_PASSED = (409, Code.CONTEST_STARTED, "The contest has started: its start stays.", "比赛已经开始。")
    CONTEST_MOMENT_PASSED = (
        409,
        Code.CONTEST_STARTED,
        "The end, freeze, thaw or late time that this would move is past, or verdicts hidden until the end are"
        " shown. To make a frozen contest longer, make its freeze longer by as much.",
        "该更改涉及的结束、封榜、解封时间或逾期提交期限已经过去，或者隐藏至赛后的结果已经公布。延长已封榜的比赛时，请将封榜时长增加同样的时间。",
    )
    CONTEST_HAS_STARTED = (
        409,
        Code.CONTEST_STARTED,
        "The contest has started: ?force=true deletes its ledger and boards with it; submissions stay.",
        "比赛已经开始：使用 ?force=true 将连同比赛记录和榜单一并删除，提交会保留。",
    )
    CONTEST_PROBLEM_TWICE = (
        409,
        Code.CONTEST_PROBLEM_TWICE,
        "The problem has another label in this contest: take it out there first.",
        "该题在本场比赛中已有另一个题号：请先移除。",
    )
    CONTEST_PROBLEM_USED = (409, Code.CONTEST_PROBLEM_USED, "The problem has submissions: it stays.", "该题已有提交。")
    CONTEST_REGISTRATION_CLOSED = (
        409,
        Code.CONTEST_REGISTRATION_CLOSED,
        "Only the organisers can change who takes part. Please ask them.",
        "只有主办方可以更改参赛者，请联系他们。",
    )
    CONTEST_TEAM_USED = (
        409,
        Code.CONTEST_TEAM_USED,
        "The team has submissions, and stays: hide it instead.",
        "该队伍已有提交，不能删除：请改为隐藏。",
    )
    CONTEST_TEAM_HAS_ROLE = (
        409,
        Code.CONTEST_TEAM_HAS_ROLE,
        "These accounts of the team have a role on this site, so no contest binds them to addresses: {accounts}. Take"
        " them out of the team first.",
        "该队伍的以下账户在本站拥有角色，比赛不能将其绑定到地址：{accounts}。请先将其移出队伍。",
    )
    LOGIN_ELSEWHERE = (
        403,
        Code.LOGIN_ELSEWHERE,
        "While your contest runs, your account can be used at its addresses only; the jury can lift this.",
        "比赛进行期间，您的账户只能在比赛指定的地址使用；如需解除请联系裁判。",
    )
    CONTEST_NOT_OVER = (409, Code.CONTEST_NOT_OVER, "The contest is not over yet: wait for its end.", "比赛尚未结束。")
    CONTEST_NOT_FINAL = (
        409,
        Code.CONTEST_NOT_FINAL,
        "The results are not final yet: finalize the contest first.",
        "结果尚未最终确认：请先确认比赛结果。",
    )
    CONTEST_COUNTS_POINTS = (
        409,
        Code.CONTEST_COUNTS_POINTS,
        "The ICPC's results are of contests that count problems; this one counts points: take the scoreboard.",
        "ICPC 结果只适用于按题数计分的比赛，本场比赛按分数计分：请使用排行榜。",
    )
    CONTEST_REJUDGE_OPEN = (
        409,
        Code.PREVIEW_RUNNING,
        "The rejudge {number} of this contest (problem {problem}) is not decided yet: apply it or cancel it first.",
        "本场比赛的重测 {number}（题目 {problem}）尚未决定：请先应用或取消。",
    )
    CONTEST_PROBLEM_PREVIEWED = (
        409,
        Code.PREVIEW_RUNNING,
        "A preview of the problem {problem} is not decided yet: apply it or cancel it at the problem first.",
        "题目 {problem} 的预览尚未决定：请先在该题处应用或取消。",
    )
    CONTEST_UNJUDGED = (
        409,
        Code.CONTEST_UNJUDGED,
        "{count} submissions have no verdict yet: wait for them, or decide about dead letters, then finalize again.",
        "还有 {count} 份提交没有评测结果：请等待评测结束或处理死信，然后再确认最终结果。",
    )
    CONTEST_UNANSWERED = (
        409,
        Code.CONTEST_UNANSWERED,
        "{count} questions have no answer: answer them, then finalize again.",
        "还有 {count} 个提问未答复：请先答复，再确认最终结果。",
    )
    CONTEST_MOVED = (
        409,
        Code.CONTEST_UNJUDGED,
        "The contest was changed meanwhile: try again.",
        "比赛刚刚发生了变化，请重试。",
    )
    STANDINGS_MOVED = (
        409,
        Code.CONTEST_UNJUDGED,
        "The standings have changed since this page was opened: look at them again, then finalize.",
        "打开本页之后，排名有变化：请重新核对排名，再确认最终结果。",
    )
    CONTEST_FINALIZED = (409, Code.CONTEST_FINALIZED, "The contest is finalized: it stays.", "比赛结果已最终确认。")
    CONTEST_JUDGE_FAILED = (
        409,
        Code.CONTEST_JUDGE_FAILED,
        "The judge failed on the submissions {submissions}: rejudge them, override their verdicts or ignore them, then"
        " finalize again.",
        "评测系统未能评测提交 {submissions}：请重新评测、改判或忽略这些提交，然后再确认最终结果。",
    )
    CONTEST_UNVERIFIED = (
        409,
        Code.CONTEST_UNVERIFIED,
        "{count} verdicts are not verified yet: verify them, or ignore the submissions, then finalize again.",
        "还有 {count} 份提交的评测结果未经核验：请先核验或忽略这些提交，再确认最终结果。",
    )
    CONTEST_REJUDGING = (
        409,
        Code.PREVIEW_RUNNING,
        "A rejudge of the contest is not decided yet: apply it or cancel it, then finalize again.",
        "本场比赛有一次重测尚未决定：请先应用或取消，再确认最终结果。",
    )
    SUBMISSION_CLAIMED = (
        409,
        Code.SUBMISSION_CLAIMED,
        "Another account has claimed this submission: wait for it, or release the claim.",
        "该提交已由其他裁判认领：请等待其处理，或先取消认领。",
    )
    JUDGED_AGAIN = (
        409,
        Code.JUDGED_AGAIN,
        "The submission was judged again since you looked at it: look at its new verdict.",
        "该提交已重新评测，请先查看新的评测结果。",
    )
    NOT_JUDGED = (
        409,
        Code.NOT_FINISHED,
        "The submission has no verdict yet: wait for it.",
        "该提交尚无评测结果，请稍候。",
    )
    OVERRIDE_PROPOSED = (
        409,
        Code.OVERRIDE_PROPOSED,
        "An override of this verdict waits for its confirmation: confirm or withdraw it first.",
        "该结果已有待确认的改判：请先确认或撤回。",
    )
    NO_OVERRIDE_PROPOSED = (
        409,
        Code.NO_OVERRIDE_PROPOSED,
        "No override of the present verdict waits for a confirmation.",
        "当前结果没有待确认的改判。",
    )
    OWN_PROPOSAL = (
        409,
        Code.OWN_PROPOSAL,
        "Another account of the jury must confirm this override.",
        "改判须由另一位裁判确认。",
    )
    CONTEST_QUESTIONS_FULL = (
        409,
        Code.CONTEST_QUESTIONS_FULL,
        f"{MAX_QUESTIONS} questions of your team wait for an answer, as many as may: ask again after an answer.",
        f"您的队伍已有 {MAX_QUESTIONS} 个提问等待答复，达到上限：请在其中一个得到答复后再提问。",
    )
    NO_SUCH_CLARIFICATION = (404, Code.NOT_FOUND, "There is no such clarification.", "没有这条答疑。")
