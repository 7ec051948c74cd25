"""Every error of the API: its HTTP status, its code, and its sentence in English and Chinese. Routes raise ``Refused``
with one of them."""

from __future__ import annotations

from deepoj.api.codes import Code, CodedError


class ApiError(CodedError):
    """The errors: status, code, English and Chinese sentence. ``Refused`` fills in the ``{…}``."""

    BAD_JSON = (400, Code.BAD_REQUEST, "The body is not valid JSON in UTF-8.", "请求体不是有效的 UTF-8 JSON。")
    NOT_AN_OBJECT = (400, Code.BAD_REQUEST, "The body must be a JSON object.", "请求体必须是一个 JSON 对象。")
    BAD_FORM = (
        400,
        Code.BAD_REQUEST,
        "The body is not valid multipart/form-data.",
        "请求体不是有效的 multipart/form-data。",
    )
    BAD_REQUEST = (400, Code.BAD_REQUEST, "The request is malformed.", "请求格式错误。")
    INVALID = (400, Code.INVALID_PARAM, "Invalid parameter: {field}: {problem}.", "参数无效：{field}（{problem}）。")
    TITLE_MISSING = (400, Code.INVALID_PARAM, "Enter a title: the package has none.", "请填写标题：题目包没有标题。")
    NOT_CONFIRMED = (
        400,
        Code.INVALID_PARAM,
        "Nothing was done. Type {typed} to confirm.",
        "未做任何更改。请输入 {typed} 以确认。",
    )
    UNKNOWN_GROUP = (
        400,
        Code.INVALID_PARAM,
        "Invalid parameter: groups: there is no group {group}.",
        "没有名为 {group} 的用户组，请先创建。",
    )
    BAD_TEXT = (
        400,
        Code.INVALID_PARAM,
        "{field} must be Unicode text without NUL.",
        "{field} 必须是不含 NUL 的合法 Unicode 文本。",
    )
    UNKNOWN_LANGUAGE = (
        400,
        Code.INVALID_PARAM,
        "Unknown language; see GET /api/v1/languages.",
        "未知的编程语言，请参阅 GET /api/v1/languages。",
    )
    LANGUAGE_UNAVAILABLE = (
        400,
        Code.LANGUAGE_UNAVAILABLE,
        "No running judge node has the language {language}; see GET /api/v1/languages.",
        "当前没有评测节点支持语言 {language}，请参阅 GET /api/v1/languages。",
    )
    LANGUAGE_NOT_ALLOWED = (
        400,
        Code.LANGUAGE_NOT_ALLOWED,
        "This problem takes no programs in {language}; it takes {allowed}.",
        "本题不接受 {language}，可用的语言：{allowed}。",
    )
    CODE_TOO_LARGE = (
        400,
        Code.CODE_TOO_LARGE,
        "The code has more than {limit} bytes in UTF-8.",
        "代码超过 {limit} 字节（UTF-8）。",
    )
    STDIN_TOO_LARGE = (
        400,
        Code.STDIN_TOO_LARGE,
        "The input has more than {limit} bytes in UTF-8.",
        "标准输入超过 {limit} 字节（UTF-8）。",
    )
    CALLBACKS_OFF = (400, Code.WEBHOOKS_DISABLED, "Webhooks are disabled on this server.", "本服务器未启用回调。")
    CALLBACK_MALFORMED = (
        400,
        Code.INVALID_CALLBACK_URL,
        "callback_url must be a URL of at most 2000 characters, escaped, without a fragment.",
        "callback_url 必须是已转义、不含片段且不超过 2000 个字符的 URL。",
    )
    CALLBACK_SCHEME = (
        400,
        Code.INVALID_CALLBACK_URL,
        "callback_url must begin with http:// or https://.",
        "callback_url 必须以 http:// 或 https:// 开头。",
    )
    CALLBACK_CREDENTIALS = (
        400,
        Code.INVALID_CALLBACK_URL,
        "callback_url may not contain a user or a password: callbacks are signed instead.",
        "callback_url 不得包含用户名或密码：回调请求带有签名。",
    )
    CALLBACK_PORT = (
        400,
        Code.CALLBACK_NOT_ALLOWED,
        "The port of callback_url must be 80, 443, or at least 1024.",
        "callback_url 的端口只能是 80、443 或不小于 1024。",
    )
    CALLBACK_HOST = (
        400,
        Code.CALLBACK_NOT_ALLOWED,
        "The host of callback_url is not allowed on this server.",
        "callback_url 的主机不在允许的范围内。",
    )
    CALLBACK_ADDRESS = (
        400,
        Code.CALLBACK_NOT_ALLOWED,
        "The host of callback_url must have a public address.",
        "callback_url 必须指向公网地址。",
    )
    KEY_REUSED = (
        422,
        Code.IDEMPOTENCY_KEY_REUSED,
        "This Idempotency-Key was already used for another submission of yours: use a new key.",
        "该 Idempotency-Key 已用于您的另一份提交，请为新的提交使用新的键。",
    )
    NO_SUCH_PROBLEM_TO_SUBMIT = (400, Code.PROBLEM_NOT_FOUND, "There is no such problem.", "题目不存在。")
    NO_SUCH_PROBLEM = (404, Code.PROBLEM_NOT_FOUND, "There is no such problem.", "题目不存在。")
    NO_SUCH_STATEMENT = (404, Code.NOT_FOUND, "There is no statement in this language.", "没有此语言的题面。")
    NO_SUCH_FILE = (404, Code.NOT_FOUND, "This problem has no such file.", "该题目没有此文件。")
    INVALID_PACKAGE = (400, Code.INVALID_PACKAGE, "The test package is invalid: {problem}", "测试数据包无效：{problem}")
    INVALID_STATEMENT = (
        400,
        Code.INVALID_STATEMENT,
        "The statement is not saved, because it cannot be rendered: {problem}",
        "题面无法渲染，未保存：{problem}",
    )
    STATEMENT_CHANGED = (
        409,
        Code.STATEMENT_CHANGED,
        "The statement or the package has changed since you opened it: copy your text, open it again and merge both.",
        "打开之后题面或数据包已被他人更改：请复制您的文本，重新打开后合并。",
    )
    NO_SUCH_JOB = (404, Code.JOB_NOT_FOUND, "There is no such submission.", "提交不存在。")
    NO_SUCH_RUN = (
        404,
        Code.RUN_NOT_FOUND,
        "There is no such run, or its result has expired.",
        "该运行不存在，或已过保留期。",
    )
    NO_SUCH_DEAD_LETTER = (404, Code.JOB_NOT_FOUND, "There is no such dead letter.", "死信不存在。")
    NOT_A_DEAD_LETTER = (
        409,
        Code.NOT_A_DEAD_LETTER,
        "This submission is not, or no longer, a dead letter.",
        "该提交不是死信，或已不再是死信。",
    )
    DIED_AGAIN = (
        409,
        Code.STALE_ATTEMPT,
        "This submission became a dead letter again with a later attempt: reload it before you decide.",
        "该提交此后又以更新的尝试成为死信，请重新查看。",
    )
    NOT_FINISHED = (
        409,
        Code.NOT_FINISHED,
        "This submission has no verdict yet: rejudge it once it has one.",
        "该提交尚未评测完成，暂不能重新评测。",
    )
    IS_A_DEAD_LETTER = (
        409,
        Code.DEAD_LETTER,
        "This submission is a dead letter: requeue or discard it first.",
        "该提交是死信，请先将其重新入队或丢弃。",
    )
    WEBHOOKS_OFF = (404, Code.WEBHOOKS_DISABLED, "Webhooks are disabled on this server.", "本服务器未启用回调。")
    NO_SUCH_DELIVERY = (404, Code.NOT_FOUND, "There is no such delivery.", "回调记录不存在。")
    NO_SUCH_REJUDGE = (404, Code.NOT_FOUND, "This problem has never been rejudged.", "该题目从未被重新评测。")
    NOT_VERIFIED = (404, Code.NOT_FOUND, "This problem has never been verified.", "该题目从未被验证。")
    NO_SUCH_RERUN = (
        404,
        Code.NOT_FOUND,
        "There is no such run of a test, or it is no longer kept: run the test again.",
        "该测试点的运行不存在，或已过保留期：请重新运行。",
    )
    NO_SUCH_PREVIEW = (404, Code.NOT_FOUND, "There is no such preview of a rejudge.", "没有这一重新评测预览。")
    PREVIEW_RUNNING = (
        409,
        Code.PREVIEW_RUNNING,
        "Another preview of this problem is being judged: wait for it, or cancel it first.",
        "本题的另一个预览正在评测：请等它结束，或先将其取消。",
    )
    PREVIEW_NOT_READY = (
        409,
        Code.PREVIEW_RUNNING,
        "This preview is still being judged: apply it once it is ready.",
        "该预览仍在评测，完成后才能应用。",
    )
    PREVIEW_OUTDATED = (
        409,
        Code.PREVIEW_OUTDATED,
        "The problem has changed since this preview was started: start another one.",
        "该预览开始后题目已被更改：请重新开始一个预览。",
    )
    PREVIEW_ENDED = (409, Code.PREVIEW_ENDED, "This preview was applied or cancelled before.", "该预览已被应用或取消。")
    PREVIEW_OF_CONTEST = (409, Code.PREVIEW_ENDED, "Decide this in the contest that it is of.", "请在所属比赛中处理。")
    PROBLEM_IN_CONTEST = (
        409,
        Code.PROBLEM_IN_CONTEST,
        "This problem is part of a contest: remove it from the contest, or the contest itself, first.",
        "该题目属于某场比赛：请先将其移出该比赛，或删除该比赛。",
    )
    HAS_SUBMISSIONS = (
        409,
        Code.PROBLEM_HAS_SUBMISSIONS,
        "This problem has submissions: ?force=true deletes them with it.",
        "该题目已有提交：使用 ?force=true 将连同提交一并删除。",
    )
    NOT_FOUND = (404, Code.NOT_FOUND, "There is nothing at this address.", "地址不存在。")
    METHOD_NOT_ALLOWED = (
        405,
        Code.METHOD_NOT_ALLOWED,
        "This address does not support this method.",
        "该地址不支持此请求方法。",
    )
    NO_TOKEN = (
        401,
        Code.UNAUTHORIZED,
        "Log in first: send the header Authorization: Bearer <token>.",
        "请先登录：需要请求头 Authorization: Bearer <token>。",
    )
    BAD_TOKEN = (
        401,
        Code.UNAUTHORIZED,
        "The token is invalid, expired or revoked: log in again.",
        "令牌无效、已过期或已被吊销，请重新登录。",
    )
    MADE_TOKEN = (
        403,
        Code.FORBIDDEN,
        "A token that was made for a program may not do this: log in with your password.",
        "为程序创建的令牌不能执行此操作，请用密码登录。",
    )
    BAD_METRICS_TOKEN = (
        401,
        Code.UNAUTHORIZED,
        "The metrics require the header Authorization: Bearer <METRICS_TOKEN>; deepoj up keeps its own in "
        "secrets/metrics_token of its home.",
        "访问指标需要请求头 Authorization: Bearer <METRICS_TOKEN>；deepoj up 自己的 token 在其主目录的 "
        "secrets/metrics_token 中。",
    )
    NO_METRICS_TOKEN = (
        403,
        Code.FORBIDDEN,
        "Set METRICS_TOKEN: without it, metrics are served to this host alone, on SCHEDULER_METRICS_PORT and "
        "WORKER_METRICS_PORT.",
        "请设置 METRICS_TOKEN：未设置时，指标只在 SCHEDULER_METRICS_PORT 和 WORKER_METRICS_PORT 上向本机提供。",
    )
    BAD_CREDENTIALS = (401, Code.BAD_CREDENTIALS, "Wrong username or password.", "用户名或密码错误。")
    ADMIN_ONLY = (403, Code.FORBIDDEN, "Only an administrator may do this.", "需要管理员权限。")
    NO_RIGHT = (
        403,
        Code.FORBIDDEN,
        "Your account may not do this: ask an administrator for a role that may.",
        "您的账号无权执行此操作，请联系管理员授予相应角色。",
    )
    RESULTS_IN_CONTEST = (
        403,
        Code.FORBIDDEN,
        "A contest hides verdicts of this problem: only its jury reads and rejudges results until the board shows all.",
        "某场比赛正在使用该题目且已封榜：在榜单完全公布之前，只有裁判可以查看和重判该题的结果。",
    )
    FORM_EXPIRED = (
        403,
        Code.FORM_EXPIRED,
        "This form was opened before you logged in or out, or on another site: load the page again, and send it again.",
        "该表单是在您登录或退出之前打开的，或来自其他网站：请重新加载页面后再提交。",
    )
    OTHER_SITE = (
        403,
        Code.FORBIDDEN,
        "This change came from a page of another site, with the password that your browser keeps: send it from here, "
        "or with a token (Authorization: Bearer).",
        "此更改来自其他网站的页面，并使用了浏览器保存的密码：请在本站操作，或使用令牌（Authorization: Bearer）。",
    )
    NOT_YOURS = (403, Code.FORBIDDEN, "This submission belongs to another user.", "无权查看他人的提交。")
    NOT_YOUR_RUN = (403, Code.FORBIDDEN, "This run belongs to another user.", "无权查看他人的运行。")
    OTHERS_SUBMISSIONS = (
        403,
        Code.FORBIDDEN,
        "Only an administrator may list other users' submissions.",
        "只有管理员可以列出他人的提交。",
    )
    USERNAME_TAKEN = (409, Code.USERNAME_TAKEN, "This username is taken.", "用户名已被占用。")
    USERNAME_RESERVED = (
        409,
        Code.USERNAME_TAKEN,
        "This username is reserved for an administrator (deepoj admin create-user).",
        "该用户名为管理员保留（请使用 deepoj admin create-user）。",
    )
    WRONG_OLD_PASSWORD = (403, Code.BAD_CREDENTIALS, "The present password is wrong.", "当前密码错误。")
    ACCOUNT_DISABLED = (
        403,
        Code.ACCOUNT_DISABLED,
        "This account has been disabled by an administrator.",
        "该账号已被管理员停用。",
    )
    NO_SUCH_USER = (404, Code.USER_NOT_FOUND, "There is no such account.", "账号不存在。")
    NO_SUCH_TOKEN = (404, Code.NOT_FOUND, "Your account has no such token.", "您的账号没有此令牌。")
    NO_SUCH_GROUP = (404, Code.GROUP_NOT_FOUND, "There is no such group.", "用户组不存在。")
    GROUP_NAME_TAKEN = (
        409,
        Code.GROUP_NAME_TAKEN,
        "Another group has this name: choose another one.",
        "该名称已被其他用户组使用，请换一个。",
    )
    NO_SUCH_MEMBER = (404, Code.NOT_A_MEMBER, "This person is not in the group.", "该用户不在此用户组中。")
    OWN_ACCOUNT = (
        409,
        Code.OWN_ACCOUNT,
        "Administrators cannot do this to their own account: ask another administrator.",
        "管理员不能对自己的账号执行此操作，请联系其他管理员。",
    )
    LAST_ADMINISTRATOR = (
        409,
        Code.LAST_ADMINISTRATOR,
        "This is the last administrator: appoint another one first.",
        "这是最后一位管理员，请先添加其他管理员。",
    )
    SOURCE_ERASED = (
        409,
        Code.SOURCE_ERASED,
        "The account of this submission's author was erased, and the source with it: it cannot be judged again.",
        "该提交作者的账号已被删除，源代码也已一并删除，无法重新评测。",
    )
    OAUTH_OFF = (
        404,
        Code.OAUTH_NOT_CONFIGURED,
        "GitHub login is not configured on this server.",
        "本站未启用 GitHub 登录。",
    )
    BAD_STATE = (
        400,
        Code.OAUTH_STATE_INVALID,
        "This login with GitHub is invalid, expired or already used: begin it again.",
        "此次 GitHub 登录无效、已过期或已使用，请重新开始登录。",
    )
    OAUTH_DENIED = (400, Code.OAUTH_DENIED, "GitHub refused the login.", "GitHub 未授权此次登录。")
    BAD_OAUTH_CODE = (
        400,
        Code.OAUTH_CODE_INVALID,
        "The code from GitHub is invalid or expired: begin the login again.",
        "GitHub 授权码无效或已过期，请重新开始登录。",
    )
    GITHUB_DOWN = (
        502,
        Code.OAUTH_PROVIDER_ERROR,
        "GitHub is unreachable at the moment; try again later.",
        "暂时无法访问 GitHub，请稍后再试。",
    )
    TOO_SLOW = (408, Code.REQUEST_TIMEOUT, "The request arrived too slowly.", "请求发送过慢，已超时。")
    BODY_TOO_LARGE = (413, Code.BODY_TOO_LARGE, "The body has more than {limit} bytes.", "请求体超过 {limit} 字节。")
    FILE_TOO_LARGE = (413, Code.FILE_TOO_LARGE, "The file has more than {limit} bytes.", "文件超过 {limit} 字节。")
    WRONG_TYPE = (415, Code.UNSUPPORTED_MEDIA_TYPE, "Content-Type must be {wanted}.", "Content-Type 必须是 {wanted}。")
    TOO_MANY_LOGINS = (
        429,
        Code.RATE_LIMITED,
        "Too many logins at the moment; try again shortly.",
        "当前登录请求过多，请稍后再试。",
    )
    TOO_MANY_CONNECTIONS_OF_ADDRESS = (
        429,
        Code.RATE_LIMITED,
        "Your address already has {limit} requests in progress; wait for one of them.",
        "您的地址已有 {limit} 个请求正在处理，请等待其结束。",
    )
    TOO_MANY_CONNECTIONS = (
        503,
        Code.SERVER_BUSY,
        "The server has reached its limit of concurrent requests; try again shortly.",
        "服务器正在处理的请求已达上限，请稍后再试。",
    )
    TOO_MANY_STREAMS = (
        429,
        Code.RATE_LIMITED,
        "Too many event streams are open on this node; try again shortly.",
        "当前节点的事件流过多，请稍后再试。",
    )
    TOO_MANY_STREAMS_OF_USER = (
        429,
        Code.RATE_LIMITED,
        "You already have {limit} event streams open: close one first.",
        "您已打开 {limit} 个事件流，请先关闭其中一个。",
    )
    TOO_MANY_STREAMS_OF_ADDRESS = (
        429,
        Code.RATE_LIMITED,
        "Your address already has {limit} event streams open: close one first.",
        "您的地址已打开 {limit} 个事件流，请先关闭其中一个。",
    )
    TOO_MANY_REQUESTS = (
        429,
        Code.RATE_LIMITED,
        "Too many requests; try again in {seconds} s.",
        "请求过于频繁，请在 {seconds} 秒后重试。",
    )
    INFLIGHT_CAP = (
        429,
        Code.INFLIGHT_CAP_REACHED,
        "Too many submissions are waiting to be judged; try again shortly.",
        "当前等待评测的提交过多，请稍后再试。",
    )
    USER_INFLIGHT_CAP = (
        429,
        Code.USER_INFLIGHT_CAP_REACHED,
        "You already have {limit} unfinished submissions; wait for one of them.",
        "您已有 {limit} 个未完成的提交，请等待其评测结束。",
    )
    USER_BATCH_QUOTA = (
        429,
        Code.USER_BATCH_QUOTA_REACHED,
        "{limit} submissions of your batches are unfinished: send the batch again, with its Idempotency-Key, once some "
        "of them are judged.",
        "您的批量提交中已有 {limit} 份尚未评测完毕：请待其中一部分评测结束后，用同一 Idempotency-Key 重新发送该批次。",
    )
    BATCH_TOO_LONG = (
        413,
        Code.BATCH_TOO_LONG,
        "A batch has at most {limit} lines: send this line and those after it as another batch.",
        "每个批次最多 {limit} 行：请将本行及其后的各行作为另一个批次发送。",
    )
    NO_SUCH_BATCH = (404, Code.BATCH_NOT_FOUND, "There is no such batch.", "批次不存在。")
    RUNS_OFF = (
        403,
        Code.RUN_DISABLED,
        "Custom runs are disabled on this server; submit the program to a problem instead.",
        "本服务器未启用自定义运行，请改为向题目提交程序。",
    )
    RUNS_OFF_IN_CONTEST = (403, Code.RUN_DISABLED, "Your contest allows no custom runs.", "您的比赛不允许自定义运行。")
    TOO_MANY_RUNS = (
        429,
        Code.INFLIGHT_CAP_REACHED,
        "You already have {limit} unfinished runs; wait for one of them.",
        "您已有 {limit} 个未完成的运行，请等待其结束。",
    )
    TOO_MANY_RERUNS = (
        429,
        Code.INFLIGHT_CAP_REACHED,
        "You already run {limit} tests again; wait for one of them.",
        "您已有 {limit} 个测试点正在重新运行，请等待其结束。",
    )
    TOO_MANY_VERIFICATIONS = (
        429,
        Code.INFLIGHT_CAP_REACHED,
        "{limit} of your problems are being verified: wait until one of these verifications ends, or cancel it.",
        "您已有 {limit} 道题目正在验证：请等待其中一个结束，或将其取消。",
    )
    TOO_MANY_PREVIEWS = (
        429,
        Code.INFLIGHT_CAP_REACHED,
        "{limit} previews of your problems are being judged: wait until one of them ends, or cancel it.",
        "您的题目已有 {limit} 个预览正在评测：请等待其中一个结束，或将其取消。",
    )
    BACKPRESSURE = (
        429,
        Code.BACKPRESSURE,
        "The judge nodes have a backlog; try again shortly.",
        "评测任务积压，请稍后再试。",
    )
    INTERNAL = (500, Code.INTERNAL_ERROR, "Internal server error.", "服务器内部错误。")
    DB_DOWN = (
        503,
        Code.DB_ERROR,
        "The database is unreachable at the moment; try again shortly.",
        "数据库暂时不可用，请稍后再试。",
    )
    QUEUE_DOWN = (
        503,
        Code.QUEUE_ERROR,
        "The queue is unreachable at the moment; try again shortly.",
        "任务队列暂时不可用，请稍后再试。",
    )
    JUDGING_DELAYED = (
        503,
        Code.QUEUE_ERROR,
        "The submission is stored safely. Judging is delayed at the moment, and goes on by itself.",
        "提交已安全保存。评测目前有所延迟，之后会自动继续。",
    )
    STORAGE_DOWN = (
        503,
        Code.STORAGE_ERROR,
        "The object store is unreachable at the moment; try again shortly.",
        "对象存储暂时不可用，请稍后再试。",
    )
    NOT_READY = (503, Code.NOT_READY, "This node is not ready: {parts}.", "节点未就绪：{parts}。")
