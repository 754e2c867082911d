//! `jobs.*`: submission, what became of it, and what people and apps may ask.

use std::time::{Duration, Instant};

use inkwire_protocol::app::Content;
use inkwire_protocol::app::{
    FinishUpload, Job, JobCreate, JobCreated, JobDecide, JobDetail, JobList, JobPriority, JobRef, JobReprint,
    Jobs, Problem, ProblemKind, Upload,
};
use inkwire_protocol::ids::JobId;
use inkwire_protocol::limits::MAX_NAME_CHARS;

use super::{not_found, page};
use crate::api::table::Context;
use crate::auth::internal;

/// The last write of a connection that was taken over may take this long ...
const TAKE_OVER_WITHIN: Duration = Duration::from_secs(2);
/// ... and is looked for this often.
const TAKE_OVER_LOOK: Duration = Duration::from_millis(5);

pub(in crate::api) async fn create(context: Context, params: JobCreate) -> Result<JobCreated, Problem> {
    if context.api.closing.is_cancelled() {
        return Err(ProblemKind::Draining.because("the broker is restarting: submit again in some seconds"));
    }
    if matches!(params.content, Content::Transfer { .. }) {
        context.connection("a document of its own transfer")?.uploads.room()?;
    }
    let created = context.api.jobs.create(context.submitter().await?, params).await?;
    let mut answer = created.answer;
    if !created.wants_document && !answer.duplicate {
        context.api.underway.leg().inline(usize::try_from(answer.job.bytes).unwrap_or(usize::MAX));
    }
    if created.wants_document && context.connection.is_some() {
        match take_upload(&context, answer.job.id).await {
            Ok(upload) => answer.upload = Some(upload),
            // It was being finished by the connection before.
            Err(problem) if problem.state.is_some() => {
                let job = JobRef { job: answer.job.id };
                answer.job = get(context, job).await?.job;
            }
            Err(problem) => return Err(problem),
        }
    }
    Ok(answer)
}

pub(in crate::api) async fn resume_upload(context: Context, params: JobRef) -> Result<Upload, Problem> {
    context.connection("an upload")?.uploads.room()?;
    let row = context.api.store.job(context.caller.account, params.job).await.map_err(internal)?;
    row.ok_or_else(|| not_found("job", params.job))?;
    take_upload(&context, params.job).await
}

/// Takes the upload of a job of the caller's account to this connection, wherever it is: the newest wins.
async fn take_upload(context: &Context, job: JobId) -> Result<Upload, Problem> {
    let connection = context.connection("an upload")?;
    let (api, account) = (&context.api, context.caller.account);
    let until = Instant::now() + TAKE_OVER_WITHIN;
    loop {
        api.underway.take_over(job).await;
        match api.jobs.resume_upload(account, job).await {
            Ok(upload) => return connection.begin_upload(job, upload, &api.underway),
            // The writer of the connection before is about to end; a conflict of the job's own names its state.
            Err(problem)
                if problem.kind() == Some(ProblemKind::Conflict)
                    && problem.state.is_none()
                    && Instant::now() < until =>
            {
                tokio::time::sleep(TAKE_OVER_LOOK).await;
            }
            Err(problem) => return Err(problem),
        }
    }
}

pub(in crate::api) async fn finish_upload(context: Context, params: FinishUpload) -> Result<Job, Problem> {
    let connection = context.connection("an upload")?;
    let Some((job, upload)) = connection.uploads.take(params.transfer).await else {
        let detail = format!(
            "no upload {} is open on this connection: resume it by jobs.resume_upload",
            params.transfer
        );
        return Err(ProblemKind::NotFound.because(detail).at("/transfer"));
    };
    context.api.jobs.finish_upload(context.caller.account, job, upload, params.bytes, params.sha256).await
}

pub(in crate::api) async fn get(context: Context, params: JobRef) -> Result<JobDetail, Problem> {
    let (store, account) = (&context.api.store, context.caller.account);
    let row = store.job(account, params.job).await.map_err(internal)?;
    let row = row.ok_or_else(|| not_found("job", params.job))?;
    let history = store.job_events(account, params.job).await.map_err(internal)?;
    Ok(JobDetail { job: context.api.jobs.present(row), history })
}

pub(in crate::api) async fn list(context: Context, params: JobList) -> Result<Jobs, Problem> {
    let limit = page(params.limit)?;
    if params.before.is_some() && params.after.is_some() {
        let detail = "`before` asks for older jobs, `after` for newer ones: leave one out";
        return Err(ProblemKind::InvalidParams.because(detail).at("/after"));
    }
    for (text, pointer) in
        [(&params.tag, "/tag"), (&params.search, "/search"), (&params.idempotency_key, "/idempotency_key")]
    {
        let length = text.as_ref().map_or(1, |text| text.chars().count());
        if !(1..=MAX_NAME_CHARS).contains(&length) {
            let detail = format!("has {length} characters; it must have 1 to {MAX_NAME_CHARS}");
            return Err(ProblemKind::InvalidParams.because(detail).at(pointer));
        }
    }
    let filter = JobList { limit: Some(limit), ..params };
    let page = context.api.store.jobs(context.caller.account, &filter).await.map_err(internal)?;
    let jobs = page.rows.into_iter().map(|row| context.api.jobs.present(row)).collect();
    Ok(Jobs { jobs, next: page.next, previous: page.previous })
}

pub(in crate::api) async fn cancel(context: Context, params: JobRef) -> Result<Job, Problem> {
    context.api.jobs.cancel(context.caller.account, params.job).await
}

pub(in crate::api) async fn hold(context: Context, params: JobRef) -> Result<Job, Problem> {
    context.api.jobs.hold(context.caller.account, params.job).await
}

pub(in crate::api) async fn release(context: Context, params: JobRef) -> Result<Job, Problem> {
    context.api.jobs.release(context.caller.account, params.job).await
}

pub(in crate::api) async fn decide(context: Context, params: JobDecide) -> Result<Job, Problem> {
    context.api.jobs.decide(context.caller.account, params.job, params.decision).await
}

pub(in crate::api) async fn set_priority(context: Context, params: JobPriority) -> Result<Job, Problem> {
    context.api.jobs.set_priority(context.caller.account, params.job, params.priority).await
}

pub(in crate::api) async fn reprint(context: Context, params: JobReprint) -> Result<JobCreated, Problem> {
    if context.api.closing.is_cancelled() {
        return Err(ProblemKind::Draining.because("the broker is restarting: ask again in some seconds"));
    }
    Ok(context.api.jobs.reprint(context.submitter().await?, params).await?.answer)
}
