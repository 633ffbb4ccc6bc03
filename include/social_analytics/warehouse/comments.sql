-- What each table, view and column means: \d+ in psql shows it, and the docs are made from it. This is the only
-- home of these texts. warehouse.migrate runs this file after each upgrade.

COMMENT ON TABLE analytics.organization_daily IS
    'One row for each organization, provider, metric and day: the figures, added up over the channels of the organization. An account that was removed in Postiz and connected again counts once';
COMMENT ON COLUMN analytics.organization_daily.organization_id IS 'The organization in Postiz';
COMMENT ON COLUMN analytics.organization_daily.provider IS 'The name of the network';
COMMENT ON COLUMN analytics.organization_daily.metric IS
    'The metric. A sum of unique counts has a name that ends in _summed. The table metric says how each adds up';
COMMENT ON COLUMN analytics.organization_daily.date IS
    'The day that the figure is about, in the calendar of the provider';
COMMENT ON COLUMN analytics.organization_daily.value IS
    'Sum over the channels that reported. Null if none did. Never 0 for a number that is not known';
COMMENT ON COLUMN analytics.organization_daily.integrations_expected IS 'Channels that had a job for the day';
COMMENT ON COLUMN analytics.organization_daily.integrations_reported IS 'Channels whose number is in the value';
COMMENT ON COLUMN analytics.organization_daily.aggregated_at IS 'When the row was written';
COMMENT ON COLUMN analytics.organization_daily.is_complete IS
    'True if nothing is missing: each channel reported, or the provider has no data for it, and each channel that should have a job has one';

COMMENT ON TABLE analytics.integration_metric_daily IS
    'One row for each channel, metric and day: the figures as the provider gave them';
COMMENT ON COLUMN analytics.integration_metric_daily.integration_id IS 'The channel: its integration in Postiz';
COMMENT ON COLUMN analytics.integration_metric_daily.metric IS 'The metric, by our name';
COMMENT ON COLUMN analytics.integration_metric_daily.date IS
    'The day that the figure is about, in the calendar of the provider';
COMMENT ON COLUMN analytics.integration_metric_daily.organization_id IS 'The organization in Postiz';
COMMENT ON COLUMN analytics.integration_metric_daily.provider IS 'The name of the network';
COMMENT ON COLUMN analytics.integration_metric_daily.value IS
    'Null where the provider gave no number. 0 only where it said 0';
COMMENT ON COLUMN analytics.integration_metric_daily.source_metric IS 'The name that the provider gives the metric';
COMMENT ON COLUMN analytics.integration_metric_daily.observed_at IS
    'When the reading that gave the value began, by the clock of this database';
COMMENT ON COLUMN analytics.integration_metric_daily.job_id IS 'The job of the channel and day, in ingest_job';

COMMENT ON TABLE analytics.content IS
    'One row for each post of each channel, also for those not made in Postiz';
COMMENT ON COLUMN analytics.content.integration_id IS 'The channel: its integration in Postiz';
COMMENT ON COLUMN analytics.content.content_id IS 'The id that the provider gives the post';
COMMENT ON COLUMN analytics.content.organization_id IS 'The organization in Postiz';
COMMENT ON COLUMN analytics.content.provider IS 'The name of the network';
COMMENT ON COLUMN analytics.content.published_at IS 'When it was published';
COMMENT ON COLUMN analytics.content.kind IS 'What it is, in the words of the provider';
COMMENT ON COLUMN analytics.content.message IS 'Its text. Null without one';
COMMENT ON COLUMN analytics.content.permalink IS 'Its address. Null where the provider gave none';
COMMENT ON COLUMN analytics.content.postiz_post_id IS
    'The post in Postiz that it was published from. Null if it was not made there';
COMMENT ON COLUMN analytics.content.first_seen_at IS 'When the first reading that found it began';
COMMENT ON COLUMN analytics.content.updated_at IS 'When the latest reading that found it began';
COMMENT ON COLUMN analytics.content.totals IS
    'Its totals at the latest reading that had some, by metric. A metric that the provider has is null if it gave no number';
COMMENT ON COLUMN analytics.content.totals_read_on IS
    'The day of that reading, in the calendar of the provider. Null if totals were never read';
COMMENT ON COLUMN analytics.content.engagements IS
    'The sum of reactions, comments, shares and saves in totals, as far as the provider has them. Null if one of them is not known';

COMMENT ON TABLE analytics.content_metric_snapshot IS
    'One row for each post, metric and day of reading: totals since its publication, as they stood on that day. Daily for 28 days, then weekly until day 90. Each month is a partition';
COMMENT ON COLUMN analytics.content_metric_snapshot.integration_id IS 'The channel: its integration in Postiz';
COMMENT ON COLUMN analytics.content_metric_snapshot.content_id IS 'The post, in content';
COMMENT ON COLUMN analytics.content_metric_snapshot.metric IS 'The metric, by our name';
COMMENT ON COLUMN analytics.content_metric_snapshot.snapshot_date IS
    'The day of the reading, in the calendar of the provider';
COMMENT ON COLUMN analytics.content_metric_snapshot.value IS
    'The total since publication. Null where the provider gave no number';
COMMENT ON COLUMN analytics.content_metric_snapshot.observed_at IS
    'When the reading began, by the clock of this database';

COMMENT ON TABLE analytics.ingest_job IS
    'One row for each channel and day that was ever to be read: how it went';
COMMENT ON COLUMN analytics.ingest_job.job_id IS 'analytics-ingest:<integration_id>:<date>';
COMMENT ON COLUMN analytics.ingest_job.organization_id IS
    'The organization in Postiz that the channel belonged to on that day';
COMMENT ON COLUMN analytics.ingest_job.integration_id IS 'The channel: its integration in Postiz';
COMMENT ON COLUMN analytics.ingest_job.provider IS 'The name of the network';
COMMENT ON COLUMN analytics.ingest_job.date IS 'The day that was to be read, in the calendar of the provider';
COMMENT ON COLUMN analytics.ingest_job.status IS
    'queued: not started. running: started, not ended. succeeded: stored. no_data: the provider has no figures for this account. pending: not published yet. failed: missing. recovered: a later run brought it in';
COMMENT ON COLUMN analytics.ingest_job.error_class IS
    'Of a failure: transient may pass, permanent stays until somebody acts';
COMMENT ON COLUMN analytics.ingest_job.error_code IS 'Of a failure: what it was. docs/errors.md has the codes';
COMMENT ON COLUMN analytics.ingest_job.provider_code IS 'Of a failure: the error code of the provider';
COMMENT ON COLUMN analytics.ingest_job.provider_subcode IS 'Of a failure: the subcode of the provider';
COMMENT ON COLUMN analytics.ingest_job.reason IS 'Of a failure: why, in words. Of a stored day: what it lacks';
COMMENT ON COLUMN analytics.ingest_job.trace_id IS 'Of a failure: the id that the provider gave the request';
COMMENT ON COLUMN analytics.ingest_job.attempts IS
    'How often the job was started. With claimed_by it tells which start may end the job';
COMMENT ON COLUMN analytics.ingest_job.http_calls IS 'Requests of the latest start';
COMMENT ON COLUMN analytics.ingest_job.metric_rows IS 'Figures that the latest reading wrote, look-back included';
COMMENT ON COLUMN analytics.ingest_job.content_rows IS 'Posts that the latest reading wrote';
COMMENT ON COLUMN analytics.ingest_job.is_backfill IS 'True if a backfill asked for the day';
COMMENT ON COLUMN analytics.ingest_job.dag_run_id IS 'The run of Airflow that asked for it last';
COMMENT ON COLUMN analytics.ingest_job.observed_at IS
    'When the latest reading began, by the clock of this database. An older reading never overwrites a newer one';
COMMENT ON COLUMN analytics.ingest_job.started_at IS
    'When the work began. A wait for quota counts. Null in a day that was read as the channel''s past, with many others';
COMMENT ON COLUMN analytics.ingest_job.finished_at IS 'When it ended. Null until then';
COMMENT ON COLUMN analytics.ingest_job.map_index IS 'Of the mapped task in dag_run_id that started the job last';
COMMENT ON COLUMN analytics.ingest_job.claimed_by IS
    'The task that claimed the job: its run, and its first try since it was cleared. Null until then';
COMMENT ON COLUMN analytics.ingest_job.queued_at IS 'When the job was last asked for';
COMMENT ON COLUMN analytics.ingest_job.account_id IS
    'The id that the provider gives what was read. It is the same in each integration that the account is or was connected by';
COMMENT ON COLUMN analytics.ingest_job.customer_id IS
    'The customer of the channel on that day: the first that a run of the day found in Postiz';

COMMENT ON TABLE analytics.integration IS
    'One row for each channel that was ever listed, as Postiz had it then';
COMMENT ON COLUMN analytics.integration.integration_id IS 'The channel: its integration in Postiz';
COMMENT ON COLUMN analytics.integration.organization_id IS 'The organization in Postiz';
COMMENT ON COLUMN analytics.integration.provider IS 'The name of the network';
COMMENT ON COLUMN analytics.integration.name IS 'Its name in Postiz';
COMMENT ON COLUMN analytics.integration.first_day IS
    'The earliest day that it was listed for, or that was read as its past';
COMMENT ON COLUMN analytics.integration.last_day IS 'The latest day that it was listed for';
COMMENT ON COLUMN analytics.integration.is_active IS 'True if the latest whole listing had it';
COMMENT ON COLUMN analytics.integration.listed_at IS 'When it was listed last';
COMMENT ON COLUMN analytics.integration.expected_from IS
    'From this day on it should have a job for each day. Earlier days are there if a run was asked for them';
COMMENT ON COLUMN analytics.integration.customer_id IS
    'Its customer in Postiz when it was last listed. Null without one, and where the role may not read it';
COMMENT ON COLUMN analytics.integration.customer_name IS 'The name of the customer in Postiz, for people';
COMMENT ON COLUMN analytics.integration.history_read_at IS
    'When the days before the channel was connected were read. Null: not yet';
COMMENT ON COLUMN analytics.integration.history_asked_on IS 'The day of the run that asked for them last';
COMMENT ON COLUMN analytics.integration.history_tries IS
    'How often they were asked for. A spent quota does not count';
COMMENT ON COLUMN analytics.integration.history_to_add_from IS
    'From this day on, they are not in organization_daily yet. Null: nothing to add';
COMMENT ON COLUMN analytics.integration.deleted_in_postiz_at IS
    'When a run first found the channel or its organization deleted in Postiz. Null if it is not';
COMMENT ON COLUMN analytics.integration.erased_at IS
    'When its names, its posts'' texts and its account''s ids were erased. Null if they are there';

COMMENT ON TABLE analytics.organization IS
    'One row for each organization: its name';
COMMENT ON COLUMN analytics.organization.organization_id IS 'The organization in Postiz';
COMMENT ON COLUMN analytics.organization.name IS 'Its name in Postiz';
COMMENT ON COLUMN analytics.organization.deleted_in_postiz_at IS
    'When a run first found the organization deleted in Postiz. Null if it is not';

COMMENT ON TABLE analytics.metric IS
    'One row for each provider and daily metric: how the metric adds up. Each run brings it up to date';
COMMENT ON COLUMN analytics.metric.provider IS 'The name of the network';
COMMENT ON COLUMN analytics.metric.metric IS 'The metric, by our name';
COMMENT ON COLUMN analytics.metric.kind IS
    'flow: it happened during the day, and is summed. gauge: it stood at the end of the day. unique: it counts each account once for each channel, so a sum counts people twice';
COMMENT ON COLUMN analytics.metric.unit IS 'What it counts: accounts, posts, minutes, or count';
COMMENT ON COLUMN analytics.metric.organization_metric IS 'Its name in organization_daily';
COMMENT ON COLUMN analytics.metric.source_metric IS 'The name that the provider gives the metric';

COMMENT ON TABLE analytics.unsupported_metric IS
    'One row for each provider, API version and metric that the API refuses. What it refuses to all channels is asked for again a week after last_seen_at';
COMMENT ON COLUMN analytics.unsupported_metric.provider IS 'The name of the network';
COMMENT ON COLUMN analytics.unsupported_metric.api_version IS 'The version of the API';
COMMENT ON COLUMN analytics.unsupported_metric.metric IS 'The metric, by the name that the provider gives it';
COMMENT ON COLUMN analytics.unsupported_metric.first_seen_at IS 'When it was refused first';
COMMENT ON COLUMN analytics.unsupported_metric.last_seen_at IS 'When it was refused last';
COMMENT ON COLUMN analytics.unsupported_metric.reason IS 'What the provider said';

COMMENT ON TABLE analytics.alert IS
    'One row: the last alert';
COMMENT ON COLUMN analytics.alert.one IS 'Always true: there is one row';
COMMENT ON COLUMN analytics.alert.fingerprint IS
    'What the alert was about, so that the next is sent only if something changed. Empty: it was an all-clear';
COMMENT ON COLUMN analytics.alert.sent_at IS 'When it was sent';

COMMENT ON TABLE analytics.alembic_version IS
    'One row: the revision of this schema';
COMMENT ON COLUMN analytics.alembic_version.version_num IS 'The newest migration that was applied';

COMMENT ON VIEW analytics.post_latest IS
    'One row for each post: its totals as its latest reading had them. A post of an account that was connected again is here once';
COMMENT ON COLUMN analytics.post_latest.organization_id IS 'The organization in Postiz';
COMMENT ON COLUMN analytics.post_latest.integration_id IS
    'The channel: its integration in Postiz. Of an account that was connected again: the one that read the post last';
COMMENT ON COLUMN analytics.post_latest.content_id IS 'The id that the provider gives the post';
COMMENT ON COLUMN analytics.post_latest.provider IS 'The name of the network';
COMMENT ON COLUMN analytics.post_latest.published_at IS 'When it was published';
COMMENT ON COLUMN analytics.post_latest.kind IS 'What it is, in the words of the provider';
COMMENT ON COLUMN analytics.post_latest.message IS 'Its text. Null without one';
COMMENT ON COLUMN analytics.post_latest.permalink IS 'Its address. Null where the provider gave none';
COMMENT ON COLUMN analytics.post_latest.postiz_post_id IS
    'The post in Postiz that it was published from. Null if it was not made there';
COMMENT ON COLUMN analytics.post_latest.read_on IS
    'The day of the latest reading of its totals, in the calendar of the provider. Null if they were never read';
COMMENT ON COLUMN analytics.post_latest.views IS
    'Views since its publication. Null if the latest reading gave no number, and for a provider without it';
COMMENT ON COLUMN analytics.post_latest.reach IS
    'Accounts reached since its publication. Null if the latest reading gave no number, and for a provider without it';
COMMENT ON COLUMN analytics.post_latest.clicks IS
    'Clicks since its publication. Null if the latest reading gave no number, and for a provider without it';
COMMENT ON COLUMN analytics.post_latest.reactions IS
    'Reactions since its publication. Null if the latest reading gave no number, and for a provider without it';
COMMENT ON COLUMN analytics.post_latest.comments IS
    'Comments since its publication. Null if the latest reading gave no number, and for a provider without it';
COMMENT ON COLUMN analytics.post_latest.shares IS
    'Shares since its publication. Null if the latest reading gave no number, and for a provider without it';
COMMENT ON COLUMN analytics.post_latest.saves IS
    'Saves since its publication. Null if the latest reading gave no number, and for a provider without it';
COMMENT ON COLUMN analytics.post_latest.engagements IS
    'The sum of reactions, comments, shares and saves, as far as the provider has them. Null if one of them is not known';

COMMENT ON VIEW analytics.post_daily_gain IS
    'One row for each post, metric and day of reading: what was gained since the reading before. Of an account that was connected again, each integration has its own rows';
COMMENT ON COLUMN analytics.post_daily_gain.organization_id IS 'The organization in Postiz';
COMMENT ON COLUMN analytics.post_daily_gain.integration_id IS 'The channel: its integration in Postiz';
COMMENT ON COLUMN analytics.post_daily_gain.content_id IS 'The id that the provider gives the post';
COMMENT ON COLUMN analytics.post_daily_gain.provider IS 'The name of the network';
COMMENT ON COLUMN analytics.post_daily_gain.published_at IS 'When the post was published';
COMMENT ON COLUMN analytics.post_daily_gain.metric IS 'The metric, by our name';
COMMENT ON COLUMN analytics.post_daily_gain.date IS 'The day of the reading, in the calendar of the provider';
COMMENT ON COLUMN analytics.post_daily_gain.value IS
    'The total since publication. Null where the provider gave no number';
COMMENT ON COLUMN analytics.post_daily_gain.gain IS
    'The total less the one before. Null at the first reading, and where the provider gave no number. Negative if the provider took some back';
COMMENT ON COLUMN analytics.post_daily_gain.days IS
    'In how many days it was gained: since the reading before that has a number. Null where the gain is';

COMMENT ON VIEW analytics.organization_week IS
    'One row for each organization, provider, metric and week that has figures. It adds up organization_daily';
COMMENT ON COLUMN analytics.organization_week.organization_id IS 'The organization in Postiz';
COMMENT ON COLUMN analytics.organization_week.provider IS 'The name of the network';
COMMENT ON COLUMN analytics.organization_week.metric IS 'The metric, as in organization_daily';
COMMENT ON COLUMN analytics.organization_week.week IS 'Its Monday: weeks are ISO weeks';
COMMENT ON COLUMN analytics.organization_week.value IS
    'Of a gauge: as of the last day. Null unless that day is complete. Of others: the sum of the days. Null unless each day of the week is complete. Unique counts are summed too, so they count people again each day';
COMMENT ON COLUMN analytics.organization_week.value_so_far IS
    'Of a gauge: the latest number. Of others: the sum of what is there. Null if no day has a number';
COMMENT ON COLUMN analytics.organization_week.days_complete IS
    'Days on which nothing is missing (organization_daily.is_complete)';
COMMENT ON COLUMN analytics.organization_week.days IS 'Days that the week has';

COMMENT ON VIEW analytics.organization_month IS
    'One row for each organization, provider, metric and month that has figures. It adds up organization_daily';
COMMENT ON COLUMN analytics.organization_month.organization_id IS 'The organization in Postiz';
COMMENT ON COLUMN analytics.organization_month.provider IS 'The name of the network';
COMMENT ON COLUMN analytics.organization_month.metric IS 'The metric, as in organization_daily';
COMMENT ON COLUMN analytics.organization_month.month IS 'Its first day';
COMMENT ON COLUMN analytics.organization_month.value IS
    'Of a gauge: as of the last day. Null unless that day is complete. Of others: the sum of the days. Null unless each day of the month is complete. Unique counts are summed too, so they count people again each day';
COMMENT ON COLUMN analytics.organization_month.value_so_far IS
    'Of a gauge: the latest number. Of others: the sum of what is there. Null if no day has a number';
COMMENT ON COLUMN analytics.organization_month.days_complete IS
    'Days on which nothing is missing (organization_daily.is_complete)';
COMMENT ON COLUMN analytics.organization_month.days IS 'Days that the month has';

COMMENT ON VIEW analytics.engagement_rate IS
    'One row for each organization, provider and day: engagements for each view';
COMMENT ON COLUMN analytics.engagement_rate.organization_id IS 'The organization in Postiz';
COMMENT ON COLUMN analytics.engagement_rate.provider IS 'The name of the network';
COMMENT ON COLUMN analytics.engagement_rate.date IS 'The day, in the calendar of the provider';
COMMENT ON COLUMN analytics.engagement_rate.engagements IS
    'Of all channels of the organization. Null unless complete';
COMMENT ON COLUMN analytics.engagement_rate.views IS 'Of all channels of the organization. Null unless complete';
COMMENT ON COLUMN analytics.engagement_rate.engagement_rate IS
    'Engagements divided by views. Null unless both are complete, and where there were no views';

COMMENT ON VIEW analytics.best_hours IS
    'One row for each organization, provider, weekday and hour in which posts were published. Hours are those of the time zone of the session: SET timezone changes them';
COMMENT ON COLUMN analytics.best_hours.organization_id IS 'The organization in Postiz';
COMMENT ON COLUMN analytics.best_hours.provider IS 'The name of the network';
COMMENT ON COLUMN analytics.best_hours.weekday IS '1 is Monday, 7 is Sunday';
COMMENT ON COLUMN analytics.best_hours.hour IS '0 to 23: from this full hour to the next';
COMMENT ON COLUMN analytics.best_hours.posts IS
    'Posts that count: those read at least 7 days after their publication whose engagements are known';
COMMENT ON COLUMN analytics.best_hours.median_engagements IS 'The middle one of their engagements, as in post_latest';

COMMENT ON VIEW analytics.customer_daily IS
    'One row for each customer, provider, metric and day: the figures, added up over the channels that the customer had on that day. It follows organization_daily. Channels without a customer are not in it';
COMMENT ON COLUMN analytics.customer_daily.organization_id IS 'The organization in Postiz';
COMMENT ON COLUMN analytics.customer_daily.customer_id IS 'The customer in Postiz: a group of channels';
COMMENT ON COLUMN analytics.customer_daily.provider IS 'The name of the network';
COMMENT ON COLUMN analytics.customer_daily.metric IS 'The metric, as in organization_daily';
COMMENT ON COLUMN analytics.customer_daily.date IS
    'The day that the figure is about, in the calendar of the provider';
COMMENT ON COLUMN analytics.customer_daily.value IS
    'Sum over the channels that reported. Null if none did. Never 0 for a number that is not known';
COMMENT ON COLUMN analytics.customer_daily.integrations_expected IS 'Channels that had a job for the day';
COMMENT ON COLUMN analytics.customer_daily.integrations_reported IS 'Channels whose number is in the value';
COMMENT ON COLUMN analytics.customer_daily.is_complete IS
    'True if nothing is missing: each channel reported, or the provider has no data for it, and each channel that should have a job has one';

COMMENT ON VIEW analytics.freshness IS
    'One row for each provider: how fresh its figures are. It looks at the four weeks up to the newest day that was listed';
COMMENT ON COLUMN analytics.freshness.provider IS 'The name of the network';
COMMENT ON COLUMN analytics.freshness.newest_complete_day IS
    'The newest day on which nothing is missing but what only the owners of channels can resolve. Null if there is none';
COMMENT ON COLUMN analytics.freshness.newest_day IS
    'The newest day that at least one channel has stored. Null if there is none';
COMMENT ON COLUMN analytics.freshness.last_reading_at IS
    'When a reading of one of the newest seven days last began. Null if none did';
COMMENT ON COLUMN analytics.freshness.channels IS 'Channels that are active';
COMMENT ON COLUMN analytics.freshness.channels_behind IS
    'Active channels that lack newest_day. Null without such a day';

-- The partitions that are there. New ones get the comments of the table (CREATE TABLE ... LIKE).
DO $$
DECLARE
    told record;
BEGIN
    FOR told IN
        SELECT inhrelid::regclass AS month, attname, col_description(attrelid, attnum) AS words
        FROM pg_inherits JOIN pg_attribute ON attrelid = inhparent AND attnum > 0 AND NOT attisdropped
        WHERE inhparent = 'analytics.content_metric_snapshot'::regclass
    LOOP
        EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', told.month, told.attname, told.words);
    END LOOP;
END $$;
