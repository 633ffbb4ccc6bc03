-- The role of the connection postiz_db: it reads only the columns that the daily job needs, of five tables.
-- Run it as a superuser in Postiz's database, then set the role's password.
CREATE ROLE social_analytics_reader LOGIN;
ALTER ROLE social_analytics_reader SET default_transaction_read_only = on;
DO $$ BEGIN EXECUTE format('GRANT CONNECT ON DATABASE %I TO social_analytics_reader', current_database()); END $$;
GRANT USAGE ON SCHEMA public TO social_analytics_reader;
-- It cannot read refresh tokens, nor any other column of these tables.
GRANT SELECT (
    "id", "internalId", "organizationId", "name", "providerIdentifier", "type", "token",
    "disabled", "deletedAt", "refreshNeeded", "inBetweenSteps", "rootInternalId", "customerId"
) ON "Integration" TO social_analytics_reader;
GRANT SELECT ("id", "name", "deletedAt") ON "Organization" TO social_analytics_reader;
GRANT SELECT ("id", "name", "orgId") ON "Customer" TO social_analytics_reader;
GRANT SELECT ("organizationId", "subscriptionTier", "deletedAt") ON "Subscription" TO social_analytics_reader;
GRANT SELECT (
    "id", "integrationId", "releaseId", "releaseURL", "state", "deletedAt", "parentPostId"
) ON "Post" TO social_analytics_reader;
