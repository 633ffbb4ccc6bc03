-- The part of Postiz's database that this package reads, as Prisma makes it: quoted names, timestamps
-- without zone, and no defaults for ids and "updatedAt": Prisma's client fills them in. Left out are the
-- marketplace's tables ("Orders", "Messages") and the two foreign keys of "Post" to them.
CREATE TYPE "State" AS ENUM ('QUEUE', 'PUBLISHED', 'ERROR', 'DRAFT');
CREATE TYPE "ShortLinkPreference" AS ENUM ('ASK', 'YES', 'NO');
CREATE TYPE "APPROVED_SUBMIT_FOR_ORDER" AS ENUM ('NO', 'WAITING_CONFIRMATION', 'YES');
CREATE TYPE "SubscriptionTier" AS ENUM ('STANDARD', 'PRO', 'TEAM', 'ULTIMATE');
CREATE TYPE "Period" AS ENUM ('MONTHLY', 'YEARLY');
CREATE TYPE "CreationMethod" AS ENUM ('UNKNOWN', 'WEB', 'MCP', 'API', 'AUTOPOST', 'CLI');

CREATE TABLE "Organization" (
    "id" text NOT NULL,
    "name" text NOT NULL,
    "description" text,
    "apiKey" text,
    "paymentId" text,
    "streakSince" timestamp(3),
    "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" timestamp(3) NOT NULL,
    "deletedAt" timestamp(3),
    "allowTrial" boolean NOT NULL DEFAULT false,
    "isTrailing" boolean NOT NULL DEFAULT false,
    "shortlink" "ShortLinkPreference" NOT NULL DEFAULT 'ASK',
    CONSTRAINT "Organization_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "Subscription" (
    "id" text NOT NULL,
    "organizationId" text NOT NULL,
    "subscriptionTier" "SubscriptionTier" NOT NULL,
    "identifier" text,
    "cancelAt" timestamp(3),
    "period" "Period" NOT NULL,
    "totalChannels" integer NOT NULL,
    "isLifetime" boolean NOT NULL DEFAULT false,
    "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" timestamp(3) NOT NULL,
    "deletedAt" timestamp(3),
    CONSTRAINT "Subscription_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "Subscription_organizationId_fkey" FOREIGN KEY ("organizationId") REFERENCES "Organization" ("id")
        ON DELETE RESTRICT ON UPDATE CASCADE
);
CREATE UNIQUE INDEX "Subscription_organizationId_key" ON "Subscription" ("organizationId");
CREATE INDEX "Subscription_organizationId_idx" ON "Subscription" ("organizationId");
CREATE INDEX "Subscription_deletedAt_idx" ON "Subscription" ("deletedAt");

CREATE TABLE "Customer" (
    "id" text NOT NULL,
    "name" text NOT NULL,
    "orgId" text NOT NULL,
    "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" timestamp(3) NOT NULL,
    "deletedAt" timestamp(3),
    CONSTRAINT "Customer_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "Customer_orgId_fkey" FOREIGN KEY ("orgId") REFERENCES "Organization" ("id")
        ON DELETE RESTRICT ON UPDATE CASCADE
);
CREATE UNIQUE INDEX "Customer_orgId_name_deletedAt_key" ON "Customer" ("orgId", "name", "deletedAt");

CREATE TABLE "Integration" (
    "id" text NOT NULL,
    "internalId" text NOT NULL,
    "organizationId" text NOT NULL,
    "name" text NOT NULL,
    "picture" text,
    "providerIdentifier" text NOT NULL,
    "type" text NOT NULL,
    "token" text NOT NULL,
    "disabled" boolean NOT NULL DEFAULT false,
    "tokenExpiration" timestamp(3),
    "refreshToken" text,
    "profile" text,
    "deletedAt" timestamp(3),
    "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" timestamp(3),
    "inBetweenSteps" boolean NOT NULL DEFAULT false,
    "refreshNeeded" boolean NOT NULL DEFAULT false,
    "postingTimes" text NOT NULL DEFAULT '[{"time":120}, {"time":400}, {"time":700}]',
    "customInstanceDetails" text,
    "customerId" text,
    "rootInternalId" text,
    "additionalSettings" text DEFAULT '[]',
    CONSTRAINT "Integration_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "Integration_organizationId_fkey" FOREIGN KEY ("organizationId") REFERENCES "Organization" ("id")
        ON DELETE RESTRICT ON UPDATE CASCADE,
    CONSTRAINT "Integration_customerId_fkey" FOREIGN KEY ("customerId") REFERENCES "Customer" ("id")
        ON DELETE SET NULL ON UPDATE CASCADE
);
CREATE UNIQUE INDEX "Integration_organizationId_internalId_key" ON "Integration" ("organizationId", "internalId");
CREATE INDEX "Integration_rootInternalId_idx" ON "Integration" ("rootInternalId");
CREATE INDEX "Integration_organizationId_idx" ON "Integration" ("organizationId");
CREATE INDEX "Integration_providerIdentifier_idx" ON "Integration" ("providerIdentifier");
CREATE INDEX "Integration_updatedAt_idx" ON "Integration" ("updatedAt");
CREATE INDEX "Integration_createdAt_idx" ON "Integration" ("createdAt");
CREATE INDEX "Integration_deletedAt_idx" ON "Integration" ("deletedAt");
CREATE INDEX "Integration_customerId_idx" ON "Integration" ("customerId");
CREATE INDEX "Integration_inBetweenSteps_idx" ON "Integration" ("inBetweenSteps");
CREATE INDEX "Integration_refreshNeeded_idx" ON "Integration" ("refreshNeeded");
CREATE INDEX "Integration_disabled_idx" ON "Integration" ("disabled");

CREATE TABLE "Post" (
    "id" text NOT NULL,
    "state" "State" NOT NULL DEFAULT 'QUEUE',
    "publishDate" timestamp(3) NOT NULL,
    "organizationId" text NOT NULL,
    "integrationId" text NOT NULL,
    "content" text NOT NULL,
    "delay" integer NOT NULL DEFAULT 0,
    "group" text NOT NULL,
    "title" text,
    "description" text,
    "parentPostId" text,
    "releaseId" text,
    "releaseURL" text,
    "settings" text,
    "image" text,
    "submittedForOrderId" text,
    "submittedForOrganizationId" text,
    "approvedSubmitForOrder" "APPROVED_SUBMIT_FOR_ORDER" NOT NULL DEFAULT 'NO',
    "creationMethod" "CreationMethod" NOT NULL DEFAULT 'UNKNOWN',
    "lastMessageId" text,
    "intervalInDays" integer,
    "error" text,
    "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" timestamp(3) NOT NULL,
    "deletedAt" timestamp(3),
    CONSTRAINT "Post_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "Post_organizationId_fkey" FOREIGN KEY ("organizationId") REFERENCES "Organization" ("id")
        ON DELETE RESTRICT ON UPDATE CASCADE,
    CONSTRAINT "Post_integrationId_fkey" FOREIGN KEY ("integrationId") REFERENCES "Integration" ("id")
        ON DELETE RESTRICT ON UPDATE CASCADE,
    CONSTRAINT "Post_submittedForOrganizationId_fkey" FOREIGN KEY ("submittedForOrganizationId")
        REFERENCES "Organization" ("id")
        ON DELETE SET NULL ON UPDATE CASCADE,
    CONSTRAINT "Post_parentPostId_fkey" FOREIGN KEY ("parentPostId") REFERENCES "Post" ("id")
        ON DELETE SET NULL ON UPDATE CASCADE
);
CREATE INDEX "Post_releaseURL_idx" ON "Post" ("releaseURL");
CREATE INDEX "Post_integrationId_idx" ON "Post" ("integrationId");
CREATE INDEX "Post_publishDate_idx" ON "Post" ("publishDate");
CREATE INDEX "Post_state_idx" ON "Post" ("state");
CREATE INDEX "Post_group_idx" ON "Post" ("group");
CREATE INDEX "Post_deletedAt_idx" ON "Post" ("deletedAt");
CREATE INDEX "Post_organizationId_idx" ON "Post" ("organizationId");
CREATE INDEX "Post_parentPostId_idx" ON "Post" ("parentPostId");
CREATE INDEX "Post_submittedForOrderId_idx" ON "Post" ("submittedForOrderId");
CREATE INDEX "Post_intervalInDays_idx" ON "Post" ("intervalInDays");
CREATE INDEX "Post_approvedSubmitForOrder_idx" ON "Post" ("approvedSubmitForOrder");
CREATE INDEX "Post_lastMessageId_idx" ON "Post" ("lastMessageId");
CREATE INDEX "Post_createdAt_idx" ON "Post" ("createdAt");
CREATE INDEX "Post_updatedAt_idx" ON "Post" ("updatedAt");
